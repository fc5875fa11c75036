"""Lines that stand at the top of students' files and have nothing to do with an answer: each does what it would do at
home, and none costs a graded function, through the front door and in a notebook's whole run."""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.core import Assignment
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.sandbox.guest.imports import Importer
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers, notebook_helpers
from tests.machine_helpers import Line, failed, module

pytestmark = pytest.mark.sandbox

PLOTTING: tuple[Line, ...] = (
    Line(
        "import matplotlib.pyplot as plt\nplt.rcParams['figure.figsize'] = (8, 6)",
    ),
    Line(
        "import matplotlib\nimport matplotlib.pyplot as plt\nc = plt.cm.tab10.colors[:3]",
        "len(c) == 3 and c[0][0] > 0",
    ),
    Line(
        "import torch, matplotlib.pyplot as plt\nplt.imshow(torch.zeros(3, 3), cmap=plt.cm.gray)\nplt.savefig('x.png')",
    ),
    Line(
        "import warnings, matplotlib\n"
        "warnings.filterwarnings('ignore', category=matplotlib.MatplotlibDeprecationWarning)",
    ),
    Line(
        "from matplotlib import pyplot as plt\n"
        "from matplotlib.colors import LogNorm, ListedColormap\n"
        "x = isinstance(LogNorm(), LogNorm)",
        "x and type(plt).__name__ == 'module'",
    ),
    Line(
        "import matplotlib\n"
        "matplotlib.use('TkAgg')\n"
        "from matplotlib import pyplot as plt\n"
        "plt.style.use('seaborn')\n"
        "plt.show()",
    ),
    Line(
        "from matplotlib import rc\nrc('font', size=12)",
    ),
    Line(
        "from mpl_toolkits.mplot3d import Axes3D",
    ),
    Line(
        "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\nx = isinstance(df, pd.DataFrame)",
        "x and df.a.sum() == 3",
    ),
    Line(
        "from pandas import DataFrame\nx = isinstance(3, DataFrame)\nclass D(DataFrame): pass",
        "not x and D({'a': [1]}).a.sum() == 1",
    ),
    Line(
        "import seaborn as sns\nsns.set_theme(style='whitegrid')\nsns.set()\nfig, ax = sns.subplots(2)",
    ),
    Line(
        "import IPython\n"
        "from IPython.display import display, clear_output, Image\n"
        "from IPython import get_ipython\n"
        "ip = get_ipython()",
    ),
    Line(
        "from tqdm import tqdm, trange\nfrom tqdm.auto import tqdm as t2\nfrom tqdm.notebook import tqdm as t3",
        "list(t2(range(2))) == [0, 1] and list(t3(range(2))) == [0, 1]",
    ),
    Line(
        "import pickle, copy\n"
        "import matplotlib.pyplot as plt\n"
        "from matplotlib.colors import Normalize\n"
        "x = pickle.loads(pickle.dumps(Normalize(0, 1)))\n"
        "y = copy.deepcopy(x)\n"
        "z = pickle.loads(pickle.dumps(Normalize))",
        "isinstance(y, Normalize) and z is Normalize",
    ),
)

PACKAGES: tuple[Line, ...] = (
    Line(
        "from torch.utils.tensorboard import SummaryWriter\n"
        "writer = SummaryWriter('runs/x')\n"
        "writer.add_scalar('a', 1.0, 2)",
        "writer is not None",
    ),
    Line(
        "from torchvision import datasets, transforms\n"
        "transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1,), (0.3,))])",
        "transform is not None",
    ),
    Line(
        "import torchvision.transforms as T\nt = T.Compose([T.ToTensor()])",
    ),
    Line(
        "import torchvision",
    ),
    Line(
        "import wandb\nwandb.init(project='x', config={'lr': 0.1})\nlr = wandb.config.lr",
        "lr == 0.1",
    ),
    Line(
        "from dotenv import load_dotenv\nload_dotenv()",
    ),
    Line(
        "import subprocess, sys, os\n"
        "subprocess.run(['nvidia-smi'], check=True)\n"
        "subprocess.check_call([sys.executable, '-m', 'pip', 'install', 'einops'])\n"
        "out = subprocess.check_output(['git', 'rev-parse', 'HEAD']).decode().strip()\n"
        "os.system('nvidia-smi')",
    ),
    Line(
        "import torch\n"
        "from beartype import beartype\n"
        "from jaxtyping import Float, jaxtyped\n"
        "from torch import Tensor\n"
        "@jaxtyped(typechecker=beartype)\n"
        "def f(x: Float[Tensor, 'b d']) -> Float[Tensor, 'b']:\n"
        "    return x.sum(-1)",
        "f(torch.ones(2, 3)).shape == (2,)",
    ),
    Line(
        "from typeguard import typechecked\n@typechecked\ndef f(x: int) -> int:\n    return x",
        "f(2) == 2",
    ),
    Line(
        "from einops import rearrange\n"
        "from einops.layers.torch import Rearrange\n"
        "import torch\n"
        "x = Rearrange('b c -> c b')(torch.ones(2, 3))",
        "x.shape == (3, 2)",
    ),
    Line(
        "from transformers import AdamW, get_linear_schedule_with_warmup, AutoTokenizer",
        "callable(get_linear_schedule_with_warmup)",
    ),
    Line(
        "from transformers.modeling_utils import PreTrainedModel\n"
        "from transformers import PretrainedConfig, T5Config\n"
        "import torch\n"
        "class M(PreTrainedModel):\n"
        "    config_class = T5Config\n"
        "    def __init__(self, config):\n"
        "        super().__init__(config)\n"
        "        self.l = torch.nn.Linear(2, 2)\n"
        "m = M(T5Config())",
        "isinstance(m, PreTrainedModel) and isinstance(m, torch.nn.Module)",
    ),
    Line(
        "import numpy as np\nx = np.trapz(np.ones(3)), np.Inf, np.float_(3), np.product([2, 3])",
        "x[0] == 2",
    ),
    Line(
        "from scipy.integrate import simps, cumtrapz\nimport numpy as np",
        "abs(simps(np.ones(3)) - 2) < 1e-9",
    ),
    Line(
        "import pytorch_lightning as pl\n"
        "class Net(pl.LightningModule):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        import torch\n"
        "        self.l = torch.nn.Linear(2, 2)",
        "len(list(Net().parameters())) == 2",
    ),
    Line(
        "import hydra\n@hydra.main(config_path='x')\ndef main(cfg): return 3",
        "main(1) == 3",
    ),
    Line(
        "from google.colab import drive, files, userdata\ndrive.mount('/content/drive')\nkey = userdata.get('X')",
    ),
    Line(
        "import torchmetrics\nm = torchmetrics.Accuracy(task='multiclass', num_classes=4)",
    ),
    Line(
        "from accelerate import Accelerator\n"
        "a = Accelerator()\n"
        "import torch\n"
        "net = torch.nn.Linear(1, 1)\n"
        "opt = 3\n"
        "net, opt = a.prepare(net, opt)",
        "opt == 3",
    ),
    Line(
        "from typing import Optional, Union\n"
        "from datasets import Dataset, load_dataset\n"
        "def f(x: Optional[Dataset], y: 'Dataset' = None, z: Dataset | None = None): return 1\n"
        "ds: Dataset = None",
        "f(1) == 1",
    ),
)

MACHINE: tuple[Line, ...] = (
    Line(
        "import torch\n"
        "name = torch.cuda.get_device_name(0)\n"
        "torch.cuda.set_device(0)\n"
        "torch.cuda.synchronize()\n"
        "torch.cuda.empty_cache()\n"
        "p = torch.cuda.get_device_properties(0)",
        "p.total_memory / 1e9 > 1 and isinstance(name, str)",
    ),
    Line(
        "import torch\n"
        "torch.cuda.manual_seed_all(0)\n"
        "print(torch.cuda.memory_allocated() / 1e9, torch.cuda.max_memory_reserved(), torch.cuda.memory_summary())",
    ),
    Line(
        "import torch\ntorch.set_default_tensor_type(torch.cuda.FloatTensor)\nx = torch.zeros(2)",
        "x.device.type == 'cpu'",
    ),
    Line(
        "import torch\ntorch.set_default_device('cuda')\nx = torch.zeros(2)",
        "x.device.type == 'cpu'",
    ),
    Line(
        "import torch\ntorch.set_default_device('mps')",
    ),
    Line(
        "import torch\n"
        "scaler = torch.cuda.amp.GradScaler()\n"
        "scaler2 = torch.amp.GradScaler('cuda')\n"
        "with torch.cuda.amp.autocast():\n"
        "    y = torch.ones(2)\n"
        "with torch.autocast(device_type='cuda', dtype=torch.float16):\n"
        "    y = torch.ones(2, 2) @ torch.ones(2, 2)",
    ),
    Line(
        "import torch\n"
        "device = torch.device('cuda:0')\n"
        "x = torch.zeros(2, device=device)\n"
        "y = torch.nn.Linear(2, 2).to('cuda')(x)\n"
        "z = torch.nn.Linear(2, 2, device='cuda')",
        "y.device.type == 'cpu'",
    ),
    Line(
        "import torch\ndevice = torch.device('mps')\nx = torch.randn(2, device=device)",
        "x.device.type == 'cpu'",
    ),
    Line(
        "import torch\n"
        "x = torch.randn(2, device='xpu').cuda()\n"
        "g = torch.Generator(device='cuda').manual_seed(0)\n"
        "y = torch.randn(2, generator=g, device='cuda')",
    ),
    Line(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float, default=0.1)\n"
        "parser.add_argument('--data', required=True)\n"
        "args = parser.parse_args()",
        "args.lr == 0.1 and args.data is None",
    ),
    Line(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float, default=0.1)\n"
        "args = parser.parse_args()",
        "args.lr == 0.1",
    ),
    Line(
        "import torch.multiprocessing as mp\nmp.set_start_method('spawn')\nmp.set_start_method('spawn', force=True)",
    ),
    Line(
        "import multiprocessing as mp\nwith mp.Pool(4) as pool:\n    got = pool.map(abs, [-1, 2])",
        "got == [1, 2]",
    ),
    Line(
        "from concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(2) as pool:\n"
        "    got = list(pool.map(abs, [-1]))",
        "got == [1]",
    ),
    Line(
        "import signal\nsignal.signal(signal.SIGINT, lambda *a: None)\nsignal.signal(signal.SIGALRM, lambda *a: None)",
    ),
    Line(
        "import warnings\nwarnings.filterwarnings('error')",
    ),
    Line(
        "import numpy as np\nnp.seterr(all='raise')",
    ),
    Line(
        "import torch\ntorch.set_default_dtype(torch.float64)",
    ),
    Line(
        "import torch\n"
        "torch.autograd.set_detect_anomaly(True)\n"
        "torch.use_deterministic_algorithms(True)\n"
        "torch.set_grad_enabled(False)\n"
        "torch.set_num_threads(4)",
    ),
    Line(
        "import torch\ntorch.set_num_interop_threads(4)\ntorch.set_num_interop_threads(4)",
    ),
    Line(
        "import torch\n"
        "@torch.compile\n"
        "def f(x): return x + 1\n"
        "@torch.compile(backend='inductor', mode='max-autotune', fullgraph=True)\n"
        "def g(x): return x + 1\n"
        "net = torch.compile(torch.nn.Linear(2, 2))\n"
        "net.compile()\n"
        "h = torch.compile(f, dynamic=True)",
        "f(1) == 2 and g(1) == 2 and isinstance(net, torch.nn.Linear) and h(1) == 2",
    ),
    Line(
        "import torch\n"
        "import torch._dynamo\n"
        "torch._dynamo.config.suppress_errors = True\n"
        "@torch._dynamo.disable\n"
        "def f(x): return x\n"
        "@torch.compiler.disable\n"
        "def g(x): return x",
        "f(1) == 1 and g(1) == 1",
    ),
    Line(
        "import torch\n"
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "l = DataLoader(TensorDataset(torch.ones(4)), 2, num_workers=4, pin_memory=True, prefetch_factor=2)",
        "len(list(l)) == 2",
    ),
)

FILES: tuple[Line, ...] = (
    Line(
        "import os\n"
        "os.makedirs('results/a/b', exist_ok=True)\n"
        "os.makedirs('results/a/b', exist_ok=True)\n"
        "assert os.path.isdir('results/a')\n"
        "open('results/a/b/log.txt', 'w').write('hello')\n"
        "assert open('results/a/b/log.txt').read() == 'hello'\n"
        "assert os.listdir('results/a') == ['b']",
    ),
    Line(
        "import logging\n"
        "logging.basicConfig(filename='train.log', level=logging.INFO)\n"
        "logging.info('x')\n"
        "logger = logging.getLogger(__name__)\n"
        "logger.addHandler(logging.FileHandler('other.log'))\n"
        "logger.error('hello')\n"
        "assert 'hello' in open('other.log').read()",
    ),
    Line(
        "import sys\n"
        "class Tee:\n"
        "    def __init__(self, name):\n"
        "        self.file = open(name, 'w')\n"
        "        self.out = sys.stdout\n"
        "    def write(self, t):\n"
        "        self.file.write(t)\n"
        "        self.out.write(t)\n"
        "    def flush(self):\n"
        "        pass\n"
        "sys.stdout = Tee('log.txt')\n"
        "print('x')",
    ),
    Line(
        "import torch, io\n"
        "m = torch.nn.Linear(2, 2)\n"
        "torch.save(m.state_dict(), 'model.pt')\n"
        "m.load_state_dict(torch.load('model.pt'))\n"
        "m.load_state_dict(torch.load('model.pt', map_location='cuda'))",
    ),
    Line(
        "import numpy as np\n"
        "np.save('x.npy', np.zeros(3))\n"
        "assert np.load('x.npy').shape == (3,)\n"
        "np.savez('y.npz', a=np.ones(2))\n"
        "assert np.load('y.npz')['a'].sum() == 2",
    ),
    Line(
        "from pathlib import Path\n"
        "Path('out').mkdir(parents=True, exist_ok=True)\n"
        "(Path('out') / 'a.json').write_text('{}')\n"
        "assert (Path('out') / 'a.json').exists()\n"
        "(Path('out') / 'a.json').unlink()\n"
        "assert not Path('out/a.json').exists()",
    ),
    Line(
        "import shutil, os\n"
        "if os.path.exists('runs'):\n"
        "    shutil.rmtree('runs')\n"
        "os.makedirs('runs')\n"
        "shutil.rmtree('runs')\n"
        "assert not os.path.exists('runs')",
    ),
    Line(
        "import tempfile, os\n"
        "d = tempfile.mkdtemp()\n"
        "with tempfile.TemporaryDirectory() as x:\n"
        "    open(os.path.join(x, 'a'), 'w').write('1')\n"
        "with tempfile.NamedTemporaryFile('w') as f:\n"
        "    f.write('x')",
        "os.path.isdir(d)",
    ),
    Line(
        "import os\n"
        "os.makedirs('/content/results', exist_ok=True)\n"
        "os.chdir('/content/drive/MyDrive/hw')\n"
        "import torch\n"
        "torch.save({}, '/content/model.pt')\n"
        "os.makedirs(os.path.expanduser('~/data'), exist_ok=True)",
        "os.path.exists('/content/model.pt')",
    ),
)


def first_check() -> Assignment:
    """The sampler's first check alone, with time for more imports than any file has."""
    (question,) = helpers.VAE_ONLY.questions
    check = next(check for check in question.checks if check.request.probe.startswith("vae.probes:sample"))
    return helpers.with_seconds(replace(helpers.VAE_ONLY, questions=(replace(question, checks=(check,)),)), 90.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines", [PLOTTING, FILES, PACKAGES, MACHINE], ids=["plotting", "files", "packages", "machine"]
)
def test_lines_at_the_top_of_a_file_do_what_they_do_at_home(sandbox: Sandbox, lines: Sequence[Line]) -> None:
    graded = helpers.grade(sandbox, helpers.solved(utils=module(lines)), assignment=first_check())
    (result,) = graded.results
    assert failed(result.log) == [], result.log
    assert result.score == result.check.points, result.verdict.message


NOTEBOOK = (
    "from google.colab import drive, files, userdata, output, runtime, auth\n"
    "from google.colab.patches import cv2_imshow\nimport google.colab\nfrom google.colab import data_table, anything\n"
    "drive.mount('/content/drive', force_remount=True)\nkey = userdata.get('WANDB_API_KEY')\n"
    "os.environ['WANDB_API_KEY'] = key\noutput.clear()\nruntime.unassign()\nauth.authenticate_user()\n"
    "up = files.upload()\nfor name in up: print(name)\ncv2_imshow(3)",
    "import sys\nIN_COLAB = 'google.colab' in sys.modules\nif IN_COLAB:\n"
    "    !pip install einops wandb\n    !git clone https://x.y/z.git\n    %cd z",
    "os.chdir('/content/drive/MyDrive/cs182/hw11')\nos.makedirs('/content/results/a', exist_ok=True)\n"
    "torch.save(model.state_dict(), '/content/model.pt')\n"
    "torch.save(model.state_dict(), '/content/drive/MyDrive/hw 11/model.pt')\n"
    "model.load_state_dict(torch.load('/content/model.pt'))\n"
    "assert os.path.exists('/content/model.pt') and os.path.isdir('/content/results/a')",
    "!mkdir -p checkpoints\ntorch.save(model, 'checkpoints/model.pt')\nos.makedirs('out/b')\n"
    "torch.save(model.state_dict(), 'out/b/m.pt')\nopen('out/log.txt', 'a').write('x')\nos.listdir('out')",
    "os.makedirs('/kaggle/working/x', exist_ok=True)\nopen('/kaggle/working/x/a.csv', 'w').write('1')\n"
    "assert open('/kaggle/working/x/a.csv').read() == '1'",
    "%%shell\nls -la\npip list",
    "%%bash\nnvidia-smi",
    "%%script false --no-raise-error\n1 / 0",
    "%matplotlib widget\n%matplotlib notebook\n%matplotlib ipympl\n%matplotlib inline\n%config InlineBackend.x = 3\n"
    "import matplotlib.pyplot as plt\nplt.style.use('seaborn')\nplt.switch_backend('TkAgg')\n"
    "fig, ax = plt.subplots()\nax.plot([1, 2])\nplt.savefig('/content/drive/MyDrive/a.png')\nplt.savefig('b.png')\n"
    "plt.show()\nassert plt.cm.tab10.colors[:3]",
    "%load_ext memory_profiler\n%load_ext nb_black\n%load_ext tensorboard\n%tensorboard --logdir runs\n%unknown 3 4",
    "done = []\n%memit done.append(1)\n%memit -r 1 done.append(2)\nassert done == [1, 2]",
    "%%memit\ndone.append(3)\n",
    "%%wandb\ndone.append(4)\nassert done == [1, 2, 3, 4]",
    "%%cython\ncdef int x = 3",
    "%%writefile losses.py\nimport wandb\ndef twice(x):\n    return 2 * x",
    "from losses import twice\nassert twice(2) == 4",
    "ip = get_ipython()\nip.magic('matplotlib inline')\nip.magic('%load_ext autoreload')\n"
    "ip.run_line_magic('autoreload', '2')\nip.run_line_magic('nothing_of_this_name', '')\n"
    "ip.run_cell_magic('bash', '', 'ls')\nip.system('ls')\ngpu = !nvidia-smi\n"
    "if '\\n'.join(gpu).find('failed') >= 0: print('no GPU')\nip.getoutput('ls').n",
    "from torch.utils.data import DataLoader, TensorDataset\n"
    "loader = DataLoader(TensorDataset(torch.ones(6, 2)), batch_size=2, num_workers=2, pin_memory=True,\n"
    "                    persistent_workers=True, prefetch_factor=4, multiprocessing_context='fork')\n"
    "assert sum(len(x) for (x,) in loader) == 6",
    "name = input('Your name: ')\nfrom getpass import getpass\nkey = getpass('key')\nassert name == key == ''",
    "import ipywidgets as widgets\nfrom ipywidgets import interact\n@interact(x=(0, 10))\ndef f(x): return x\n"
    "slider = widgets.IntSlider(value=3)\ndisplay(slider)\nslider.observe(print, names='value')\nassert f(2) == 2",
    "import seaborn as sns\nsns.set_theme()\nax = sns.lineplot(x=[1, 2], y=[2, 3])\nax.set_title('x')\n"
    "sns.heatmap([[1.0]], annot=True)\nplt.plot(sns.color_palette('husl', 3))\nprint(f'{ax:.2f}', '%.2f' % ax)",
    "from torch.utils.tensorboard import SummaryWriter\nwriter = SummaryWriter(log_dir='runs/x')\n"
    "writer.add_scalar('loss', 0.1, 1)\nwriter.close()",
    "import wandb\nwandb.login(key='x')\nrun = wandb.init(project='hw11', config={'lr': 1e-3})\nlr = wandb.config.lr\n"
    "assert lr == 1e-3 and run.config['lr'] == 1e-3\nwandb.log({'loss': 1})\nwandb.watch(model)\nrun.finish()",
    "fast = torch.compile(model)\nfast(torch.zeros(1, 8))\nmodel.compile()\n@torch.compile(mode='reduce-overhead')\n"
    "def g(x): return x\nassert g(1) == 1 and fast is model",
    "@torch.jit.script\ndef twice_as(x):\n    return x * 2\nassert twice_as(torch.ones(1)).item() == 2\n"
    "traced = torch.jit.trace(model, torch.zeros(1, 8))",
    "from torchsummary import summary\nsummary(model, (8,))\nimport torchinfo\nprint(torchinfo.summary(model, (1, 8)))",
    "from tqdm.auto import tqdm, trange\nbar = tqdm(range(2), desc='x')\nfor _ in bar: bar.set_postfix(loss=1)",
    "assert torch.cuda.is_available(), 'Please turn on the GPU'",
    "assert os.path.isfile('/content/drive/MyDrive/hw11/model.bin'), 'mount the drive first'",
    "import sys\nif not torch.cuda.is_available():\n    sys.exit('no GPU')\n"
    "if torch.cuda.device_count() == 0:\n    raise RuntimeError('no GPU')",
    "print(torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory)\ntorch.cuda.synchronize()\n"
    "torch.set_default_device('cuda')\nx = torch.zeros(2, device='mps').to('cuda:0')\n"
    "model.cuda()(torch.zeros(1, 8).cuda())\n"
    "torch.set_default_tensor_type(torch.cuda.FloatTensor)\n"
    "start = torch.cuda.Event(enable_timing=True)\nstart.record()\n"
    "scaler = torch.amp.GradScaler('cuda')\n"
    "with torch.autocast('cuda', dtype=torch.float16):\n    model(torch.zeros(1, 8))",
    "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float, default=0.1)\n"
    "args = parser.parse_args()\nassert args.lr == 0.1",
    "import subprocess\nsubprocess.run(['pip', 'install', 'x'], check=True)\nos.system('ls')\n"
    "subprocess.check_output('nvidia-smi', shell=True)",
    "import logging\nlogging.basicConfig(filename='/content/train.log', force=True)\nlogging.warning('x')",
    "import warnings\nwarnings.filterwarnings('error')\nwarnings.simplefilter('error')\nwarnings.warn('careful')",
    "import multiprocessing as mp\nmp.set_start_method('spawn', force=True)\np = mp.Process(target=print, args=(1,))\n"
    "p.start(); p.join()\nwith mp.Pool(2) as workers: assert workers.map(abs, [-1]) == [1]",
    "from dotenv import load_dotenv\nload_dotenv()\nimport plotly.express as px\npx.line(x=[1], y=[1]).show()\n"
    "import gymnasium as gym\nfrom torchmetrics import Accuracy\nacc = Accuracy(task='multiclass', num_classes=4)\n"
    "acc.update(torch.zeros(1), torch.zeros(1))\nprint(acc.compute(), float(acc.compute()))",
    "import sys\nclass Tee:\n    def __init__(self, *streams): self.streams = streams\n    def write(self, text):\n"
    "        for stream in self.streams: stream.write(text)\n    def flush(self):\n"
    "        for stream in self.streams: stream.flush()\n"
    "sys.stdout = Tee(sys.stdout, open('log.txt', 'w'))\nprint('x')",
)
"""Cells of real notebooks that a kernel here cannot do as a student's machine does."""


@pytest.mark.slow
def test_a_whole_run_comes_to_its_end_over_what_is_not_here(sandbox: Sandbox) -> None:
    result = notebook_helpers.run(sandbox, notebook_helpers.trained(), *NOTEBOOK, seconds=120.0)
    assert result.score == notebook_helpers.POINTS, notebook_helpers.told(result)


def test_a_fault_of_the_notebooks_own_still_ends_its_run(sandbox: Sandbox) -> None:
    for cell in ("assert 1 == 2", "undefined_name", "import no_such_file_of_mine\nraise ValueError('x')"):
        result = notebook_helpers.run(sandbox, notebook_helpers.trained(), cell)
        assert result.score == pytest.approx(notebook_helpers.TRAINED, abs=1e-3), cell


PROCESS_WIDE = """
import builtins, logging, os, signal, sys, threading, warnings
import numpy as np
import torch
import matplotlib.pyplot as plt
plt.rcParams["figure.figsize"] = (8, 6)
plt.style.use("seaborn")
class Tee:
    def write(self, text):
        raise RuntimeError("a log that is not there")
    def flush(self):
        pass
os.makedirs("results", exist_ok=True)
logging.basicConfig(filename="results/train.log")
sys.stdout = sys.stderr = Tee()
warnings.filterwarnings("error")
warnings.simplefilter("error")
np.seterr(all="raise")
torch.set_default_dtype(torch.float64)
torch.set_default_device("cuda")
torch.set_default_tensor_type(torch.cuda.FloatTensor)
torch.autograd.set_detect_anomaly(True)
torch.use_deterministic_algorithms(True)
torch.set_grad_enabled(False)
torch.set_num_threads(8)
torch.set_float32_matmul_precision("medium")
torch.set_flush_denormal(True)
signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
signal.alarm(1)
builtins.print = None
sys.settrace(lambda *_: None)
threading.setprofile(lambda *_: None)
os.chdir("results")
"""


def test_what_a_file_changes_for_the_whole_process_costs_nothing(sandbox: Sandbox) -> None:
    files = helpers.solved()
    files[helpers.UTILS] = PROCESS_WIDE.encode() + files[helpers.UTILS]
    graded = helpers.grade(sandbox, files)
    assert graded.points("vae.") == 25.0, graded.messages("vae.")


VARIANCE = "def sample_gaussian(m, v):\n    return m + v * torch.randn_like(m)"
WRONG = {
    "a default type does not make a wrong function right": "import torch\ntorch.set_default_dtype(torch.float64)\n",
    "nor does an absent package": "import wandb\nwandb.init()\n",
}


@pytest.mark.parametrize("prelude", WRONG.values(), ids=WRONG)
def test_what_stands_in_makes_nothing_right(sandbox: Sandbox, prelude: str) -> None:
    files = helpers.solved(utils=VARIANCE)
    files[helpers.UTILS] = prelude.encode() + files[helpers.UTILS]
    right = helpers.grade(
        sandbox, helpers.solved(utils="def sample_gaussian(m, v):\n    return m + v * torch.randn_like(m)")
    )
    assert helpers.grade(sandbox, files).scores() == right.scores()
    assert right.points("vae.sample") < 10


USED = {
    "a package that is not there": "import skgmm\ndef sample_gaussian(m, v):\n    return skgmm.draw(m, v)",
    "its result in a sum": "import skgmm\ndef sample_gaussian(m, v):\n    z = skgmm.draw(m, v)\n    return m + z",
    "its number": "import skgmm\ndef sample_gaussian(m, v):\n    a = skgmm.scale()\n    return m * float(a)",
    "its array": "import skgmm\ndef sample_gaussian(m, v):\n    return m + float(np.asarray(skgmm.scale()))",
    "its name alone": "from skgmm import draw as sample_gaussian",
}


@pytest.mark.parametrize("utils", USED.values(), ids=USED)
def test_what_is_not_there_is_told_where_it_is_used(sandbox: Sandbox, utils: str) -> None:
    graded = helpers.grade(sandbox, helpers.solved(utils=utils), assignment=first_check())
    assert graded.points("vae.sample") == 0
    assert "No module named 'skgmm'" in graded.messages()[0]


@pytest.mark.slow
def test_what_one_worker_writes_no_other_finds(sandbox: Sandbox) -> None:
    """Nothing is written at all: the workspace is as it was, and a file is in its own process alone."""
    kept = (
        "import os\n"
        "_before = os.path.exists('kept.txt')\n"
        "open('kept.txt', 'w').write('x' * 1000)\n"
        "_right = sample_gaussian\n"
        "def sample_gaussian(m, v):\n"
        "    assert not _before and os.path.exists('kept.txt')\n"
        "    return _right(m, v)\n"
    )
    with helpers.received(sandbox, helpers.solved(utils=kept)) as taken:
        before = sorted(str(path) for path in taken.workspace.rglob("*"))
        results = list(Grading(sandbox, taken, helpers.VAE_ONLY, b"test", 300.0).results())
        assert sum(result.score for result in results) == 25.0
        assert sorted(str(path) for path in taken.workspace.rglob("*")) == before


FULL = """
import os
_count = 0
try:
    while _count < 100_000:
        open(f"f{_count}", "w").close()
        _count += 1
except OSError as error:
    _said = error.strerror
try:
    with open("big", "wb") as file:
        while True:
            file.write(b"x" * (1 << 20))
except OSError:
    pass
_right = sample_gaussian
def sample_gaussian(m, v):
    assert 900 <= _count <= 1000 and "space" in _said
    return _right(m, v)
"""


def test_files_in_memory_are_counted(sandbox: Sandbox) -> None:
    graded = helpers.grade(sandbox, helpers.solved(utils=FULL), assignment=first_check())
    assert graded.points("vae.sample") > 0, graded.messages()


def test_a_name_that_stands_for_a_package_is_the_package_from_its_first_use_on() -> None:
    known = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "matplotlib"}
    for name in known:
        del sys.modules[name]
    try:
        _first_use()
    finally:  # or the next test of this process would have two copies of the package
        for name in [name for name in sys.modules if known and name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]
        sys.modules.update(known)


def _first_use() -> None:
    space: dict[str, object] = {"__builtins__": {**vars(builtins), "__import__": Importer(Path("/nonexistent"))}}
    exec(
        "from matplotlib import pyplot as plt, colors\nfrom matplotlib.colors import LogNorm\nimport matplotlib", space
    )
    assert not any(name.startswith("matplotlib") for name in sys.modules), "nothing is imported before it is used"
    exec("assert plt.cm.viridis.N == 256\nLogNorm()\nmatplotlib.rcParams['font.size'] = 9\ncolors.Normalize()", space)
    assert space["plt"] is sys.modules["matplotlib.pyplot"]
    assert space["LogNorm"] is sys.modules["matplotlib.colors"].LogNorm
    assert space["matplotlib"] is sys.modules["matplotlib"]
    assert space["colors"] is sys.modules["matplotlib.colors"]


def test_a_layer_that_is_a_pretrained_model_gets_its_points(sandbox: Sandbox) -> None:
    """As in the course's public notebook; transformers is imported once, by the process that forks the workers."""
    notebook = json.loads((helpers.REFERENCE / "summarization.ipynb").read_text())
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "class TransformerLayer(nn.Module)" in source:
            source = source.replace("class TransformerLayer(nn.Module)", "class TransformerLayer(PreTrainedModel)")
            cell["source"] = (
                "from transformers.modeling_utils import PreTrainedModel\nfrom transformers import PretrainedConfig\n"
                + source.replace("super().__init__()", "super().__init__(PretrainedConfig())")
            )
    question = next(question for question in ASSIGNMENT.questions if question.id == "summarization")
    checks = tuple(
        check for check in question.checks if check.id in ("summarization.layer", "summarization.layer_cached")
    )
    asked = replace(ASSIGNMENT, questions=(replace(question, checks=checks),))
    graded = helpers.grade(sandbox, {"summarization.ipynb": json.dumps(notebook).encode()}, assignment=asked)
    assert b"PreTrainedModel" in json.dumps(notebook).encode()
    assert graded.points("summarization.layer") == 7.0, graded.messages()
