//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// packages are those of the image base.
var packages = []string{
	"base-files", "netbase", "tzdata", "tzdata-legacy", "media-types", "ca-certificates", "libc6", "libssl3t64", "libzstd1", "zlib1g",
}

const suite = "trixie"

// mirrors finds where this machine's apt gets packages from.
func mirrors() (main, security string, err error) {
	files, err := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	if err != nil {
		return "", "", err
	}
	lists, err := filepath.Glob("/etc/apt/sources.list.d/*.list")
	if err != nil {
		return "", "", err
	}
	for _, file := range append(append(files, lists...), "/etc/apt/sources.list") {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			for _, word := range strings.Fields(lines.Text()) {
				word = strings.TrimSuffix(word, "/")
				switch {
				case !strings.HasPrefix(word, "http"):
				case strings.HasSuffix(word, "/debian") && main == "":
					main = word
				case strings.HasSuffix(word, "/debian-security") && security == "":
					security = word
				}
			}
		}
		_ = f.Close()
	}
	if main == "" || security == "" {
		return "", "", errors.New("this machine's apt sources name no Debian mirror: run the benchmark on Debian, or with -peers=false")
	}
	return main, security, nil
}

func sources(main, security string) []string {
	return []string{
		fmt.Sprintf("deb %s %s main", main, suite),
		fmt.Sprintf("deb %s %s-updates main", main, suite),
		fmt.Sprintf("deb %s %s-security main", security, suite),
	}
}

// startPeers makes a builder image with apt for the peers that need one, and
// returns the contenders. They build one platform, as ours beside them.
func (b *bench) startPeers(ctx context.Context) ([]contender, error) {
	main, security, err := mirrors()
	if err != nil {
		return nil, err
	}
	list := sources(main, security)
	rootfs := b.path("builder.tar")
	make := append([]string{"mmdebstrap", "--quiet", "--variant=apt", suite, rootfs}, list...)
	if _, err := execute(ctx, nil, make); err != nil {
		return nil, fmt.Errorf("make the builder image: %w", err)
	}
	if err := b.writeDockerfile(); err != nil {
		return nil, err
	}
	if err := b.startDocker(ctx, rootfs); err != nil {
		return nil, err
	}
	if _, err := execute(ctx, nil, []string{"sh", "-c", b.buildah("from", "--name", "builder", "scratch") + " && " +
		b.buildah("add", "-q", "builder", rootfs, "/") + " && " + b.buildah("commit", "-q", "builder", "localhost/builder")}); err != nil {
		return nil, fmt.Errorf("import the builder image: %w", err)
	}
	return []contender{
		{name: "mmdebstrap", commands: [][]string{append([]string{"mmdebstrap", "--quiet", "--variant=extract",
			"--include=" + strings.Join(packages, ","), suite, b.path("mmdebstrap.tar")}, list...)}},
		{name: "buildah, two stages", commands: [][]string{{"sh", "-c",
			b.buildah("bud", "-q", "--no-cache", "--isolation=chroot", "--network=host", "--pull=never", "--build-arg", "BUILDER=localhost/builder", "-t", "bench", b.path("context"))}}},
		{name: "docker build, two stages", env: b.docker(), commands: [][]string{
			{"docker", "build", "-q", "--no-cache", "--network=host", "--build-arg", "BUILDER=builder", "-t", "bench", b.path("context")}}},
	}, nil
}

func (b *bench) buildah(args ...string) string {
	return "buildah --root " + b.path("buildah") + " --runroot " + b.path("buildah-run") + " --storage-driver vfs " + strings.Join(args, " ")
}

// writeDockerfile writes the usual two stages: unpack with apt, copy the result.
func (b *bench) writeDockerfile() error {
	if err := os.MkdirAll(b.path("context"), 0o755); err != nil {
		return err
	}
	text := "ARG BUILDER\nFROM $BUILDER AS unpack\nRUN apt-get -q update && mkdir -p /debs /out && cd /debs && apt-get -q download " +
		strings.Join(packages, " ") + " && for d in *.deb; do dpkg-deb -x \"$d\" /out; done\nFROM scratch\nCOPY --from=unpack /out /\n"
	return os.WriteFile(b.path("context", "Dockerfile"), []byte(text), 0o644)
}

func (b *bench) docker() []string {
	return []string{"DOCKER_HOST=unix://" + b.path("docker.sock"), "DOCKER_BUILDKIT=0"}
}

// startDocker starts an engine of its own and imports the builder image.
func (b *bench) startDocker(ctx context.Context, rootfs string) error {
	log, err := os.Create(b.path("docker.log"))
	if err != nil {
		return err
	}
	b.engine = exec.Command("dockerd", "-H", "unix://"+b.path("docker.sock"), "--data-root", b.path("docker"), "--exec-root", b.path("docker-exec"),
		"--pidfile", b.path("docker.pid"), "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs")
	b.engine.Stdout, b.engine.Stderr = log, log
	if err := b.engine.Start(); err != nil {
		b.engine = nil
		return fmt.Errorf("start dockerd: %w", err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		_, err := execute(ctx, b.docker(), []string{"docker", "version"})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("start dockerd: %w", err)
		}
	}
	_, err = execute(ctx, b.docker(), []string{"docker", "import", rootfs, "builder"})
	return err
}

// stop ends the engine.
func (b *bench) stop() error {
	if b.engine == nil {
		return nil
	}
	if err := b.engine.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	_ = b.engine.Wait() // its exit code says that it was interrupted
	left, err := filepath.Glob(b.path("docker-exec", "netns", "*"))
	for _, mount := range left {
		_ = exec.Command("umount", mount).Run()
	}
	return err
}
