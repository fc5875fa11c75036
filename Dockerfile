# One image for a laptop with any system, for Gradescope's custom images and for authors; docs/machines.md says how.
# There is no WORKDIR, CMD or ENTRYPOINT: Gradescope's base image has its own, which must stay.
ARG BASE=debian:12-slim
FROM ${BASE} AS environment
# The pins come first, so that a change of code does not install everything again.
COPY setup.sh /autograder/source/
COPY autograder/requirements*.txt /autograder/source/autograder/
COPY tests/requirements.txt tests/package*.json /autograder/source/tests/
# Grading starts as root, because only root can give each worker a user of its own. `author` is for everything else.
# The key of the seeds is no part of an image, which others may get: the first grading makes it, in a folder that a
# volume can keep.
RUN bash /autograder/source/setup.sh \
    && rm /opt/autograder/venv-*/secret \
    && mkdir -m 700 /opt/autograder/key \
    && ln -s /opt/autograder/key/secret /opt/autograder/venv-*/ \
    && useradd --create-home --shell /bin/bash author \
    && chown -R author: /opt/autograder \
    && rm -rf /var/lib/apt/lists/*
# `autograder COMMAND` is `python3 -m autograder COMMAND`, from any folder.
RUN printf '%s\n' '#!/bin/bash' 'python="$(bash /autograder/source/setup.sh --python)" || exit 3' \
        'exec "$python" /autograder/source/autograder/__main__.py "$@"' >/usr/local/bin/autograder \
    && chmod 755 /usr/local/bin/autograder

# For authors: what the tests and the linters need; the code is the folder that is mounted.
FROM environment AS authoring
RUN apt-get update && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* && git config --system safe.directory '*'
USER author
RUN bash /autograder/source/setup.sh --dev && rm /opt/autograder/key/secret

# For grading, and the default.
FROM environment
COPY . /autograder/source/
RUN cd /autograder/source && chmod 755 setup.sh run_autograder && cp run_autograder /autograder/
