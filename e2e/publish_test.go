//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dockerRegistry starts Debian's docker-registry on loopback.
func dockerRegistry(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", dir, addr)
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker-registry", "serve", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	await(t, "registry", 10*time.Second, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return addr
}

// TestPublishedImageVerifiesWithCosign publishes static to Debian's registry
// and has the real cosign judge it, a copy under a foreign name, and an image
// that was never signed.
func TestPublishedImageVerifiesWithCosign(t *testing.T) {
	dir, registry := t.TempDir(), dockerRegistry(t)
	tools := strings.TrimSpace(must(t, ".", []string{"HOME=" + os.Getenv("HOME"), "XDG_CACHE_HOME=" + os.Getenv("XDG_CACHE_HOME")}, "./tools.sh", "cosign"))
	cosign := func(args ...string) result {
		root := filepath.Join(dir, "empty-root.json")
		if err := os.WriteFile(root, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return run(t, dir, nil, filepath.Join(tools, "cosign"), append(args, "--key", "hardstand.pub", "--insecure-ignore-tlog", "--trusted-root", root)...)
	}
	hardstand(t, dir, "keygen")
	ref := registry + "/static:1"
	hardstand(t, dir, "publish", "static", ref, "--key", "hardstand.key", "-q")
	if r := cosign("verify", ref); r.code != 0 {
		t.Errorf("cosign verify: %d\n%s", r.code, r.stderr)
	}
	if r := cosign("verify-attestation", "--type", "https://spdx.dev/Document", ref); r.code != 0 {
		t.Errorf("cosign verify-attestation: %d\n%s", r.code, r.stderr)
	}
	if got := hardstand(t, dir, "publish", "static", ref, "--key", "hardstand.key", "-q"); !strings.Contains(got, "nothing was written") {
		t.Errorf("publishing again: %s", got)
	}
	r := run(t, dir, []string{"HARDSTAND_PASSWORD=e2e"}, bin(t, "hardstand"), "publish", "base", ref, "--key", "hardstand.key", "-q")
	if r.code != 3 {
		t.Errorf("overwriting a tag: exit code %d, %s", r.code, r.stderr)
	}
	unsigned := registry + "/unsigned:1"
	must(t, dir, nil, "skopeo", "copy", "-q", "--dest-tls-verify=false", "--src-tls-verify=false", "docker://"+ref, "docker://"+unsigned)
	if r := cosign("verify", unsigned); r.code == 0 {
		t.Error("cosign accepts an unsigned copy")
	}
	if r := run(t, dir, nil, bin(t, "hardstand"), "verify", unsigned, "--key", "hardstand.pub"); r.code != 3 {
		t.Errorf("verify of an unsigned copy: exit code %d, %s", r.code, r.stderr)
	}
	docker(t, "pull", "-q", ref)
	if got := docker(t, "image", "inspect", "-f", "{{.Config.Healthcheck.Test}}", ref); got != "[CMD /bin/probe]" {
		t.Errorf("Docker pulls the OCI image with health check %q", got)
	}
}

// TestDemo runs the README's first command.
func TestDemo(t *testing.T) {
	got := must(t, "..", []string{"HOME=" + os.Getenv("HOME"), "XDG_CACHE_HOME=" + filepath.Join(home, ".cache")}, "scripts/demo")
	for _, want := range []string{"tagged last", "refused, exit code 3", "verified  decoy ls", "the container is unhealthy", "done in"} {
		if !strings.Contains(got, want) {
			t.Errorf("the demo does not say %q:\n%s", want, got)
		}
	}
}
