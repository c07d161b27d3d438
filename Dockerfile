# The server alone; docker-compose.yml shows it with its databases.

FROM node:22-slim AS page
WORKDIR /page
COPY examples/page/package.json examples/page/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY examples/page ./
RUN npm run build

FROM python:3.12-slim
WORKDIR /app
# Before our own code: this layer changes only with the pins.
COPY requirements/runtime.txt requirements/runtime.txt
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements/runtime.txt
COPY base base
COPY docstore docstore
COPY auth auth
COPY api api
COPY syncserver syncserver
COPY --from=page /page/dist examples/page/dist

# Without URLs of your own the embedded servers run in /data, as this account.
RUN useradd --system --uid 10001 syncsphere && install --directory --owner syncsphere /data
USER syncsphere
VOLUME /data
ENV SYNCSPHERE_DATA=/data SYNCSPHERE_HOST=0.0.0.0 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "syncserver"]
CMD ["serve"]
