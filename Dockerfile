# The operator. BASE_IMAGE is any image with Python 3.11 or later as python3, and its venv module.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_CONSTRAINT=/src/requirements/dev.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# First what changes seldom: the dependencies, in the versions that the tests ran with.
COPY pyproject.toml ./
COPY requirements requirements
RUN python3 -m venv /opt/pggit \
    && /opt/pggit/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" >dependencies.txt \
    && /opt/pggit/bin/pip install --requirement dependencies.txt
COPY README.md LICENSE ./
COPY operator operator
COPY sql sql
RUN /opt/pggit/bin/pip install --no-deps . && /opt/pggit/bin/pip uninstall --yes pip

FROM ${BASE_IMAGE}
COPY --from=build /opt/pggit /opt/pggit
RUN echo 'pggit:x:10001:10001::/:/sbin/nologin' >>/etc/passwd && echo 'pggit:x:10001:' >>/etc/group
ENV PATH=/opt/pggit/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["pggit-operator"]
