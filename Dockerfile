# The operator. BASE_IMAGE is any image with Python 3.11 or later as python3, and its venv module.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY operator operator
COPY sql sql
# The dependencies are the versions that the tests ran with.
RUN python3 -m venv /opt/pggit \
    && PIP_CONSTRAINT=requirements/dev.txt /opt/pggit/bin/pip install --no-cache-dir --disable-pip-version-check . \
    && /opt/pggit/bin/pip uninstall --yes --quiet pip

FROM ${BASE_IMAGE}
COPY --from=build /opt/pggit /opt/pggit
RUN echo 'pggit:x:10001:10001::/:/sbin/nologin' >> /etc/passwd && echo 'pggit:x:10001:' >> /etc/group
ENV PATH=/opt/pggit/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["pggit-operator"]
