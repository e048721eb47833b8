docker run \
  --detach \
  --name=hello \
  --read-only \
  --cap-drop=ALL \
  --security-opt=no-new-privileges:true \
  --security-opt=seccomp=/etc/app/seccomp.json \
  --user=65532:65532 \
  --memory=134217728 \
  --memory-swap=134217728 \
  --cpus=0.5 \
  --pids-limit=100 \
  --ulimit=nofile=1024:1024 \
  --restart=on-failure:5 \
  --tmpfs=/tmp:rw,noexec,nosuid,nodev,size=16777216,uid=65532,gid=65532,mode=0700 \
  --health-interval=10s \
  --health-timeout=4s \
  --health-retries=3 \
  --publish=127.0.0.1:8080:8080/tcp \
  --env=GOMEMLIMIT=120795948 \
  '--env=GREETING=it'\''s "$HOME" $(HOME) ${HOME} #1: {yes}' \
  registry.example/shop/hello:1.4.2@sha256:caa2781e7d8880b2e0b4ffc4ce72e602f39aa0b3f9b6ccee2ab32ce620c1008d
