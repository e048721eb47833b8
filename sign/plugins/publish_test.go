package plugins

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPublish has hardstand publish an image with a key of each service and
// verify it, and refuse it by another key.
func TestPublish(t *testing.T) {
	bin := t.TempDir()
	hardstand := filepath.Join(bin, "hardstand-sign")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", hardstand, "./cmd/hardstand-sign")
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0") // as make build, which then has less to do
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	newCloud(t, key).setenv(t)
	t.Setenv("NO_PROXY", "127.0.0.1")
	t.Setenv("HARDSTAND_PASSWORD", secret)
	t.Setenv("HARDSTAND_KMS_PLUGINS", bin)
	dir, address := layout(t), registry(t, hardstand)
	run := func(want int, args ...string) {
		t.Helper()
		cmd := exec.Command(hardstand, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != want {
			t.Fatalf("%v: %v, want exit code %d\n%s", args, err, want, out)
		}
	}
	run(0, "keygen", "--dir", dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{
		"awskms:///alias/release", "gcpkms://" + gcpKey + "/cryptoKeyVersions/1", "azurekms://team.vault.azure.net/release/v1", "hashivault://release",
	} {
		name, _, _ := strings.Cut(reference, "://")
		image := address + "/" + name + ":1"
		run(1, "publish", "oci:"+dir, image, "--key", reference) // no program yet
		if err := os.Symlink(self, filepath.Join(bin, "sigstore-kms-"+name)); err != nil {
			t.Fatal(err)
		}
		run(0, "publish", "oci:"+dir, image, "--key", reference)
		run(0, "verify", image, "--key", reference)
		run(3, "verify", image, "--key", "hardstand.pub")
		run(0, "resign", image, "--old-key", reference, "--key", "hardstand.key")
		run(0, "verify", image, "--key", "hardstand.pub")
	}
}

// registry starts hardstand's own and returns its address.
func registry(t *testing.T, hardstand string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	cmd := exec.Command(hardstand, "registry", "--listen", address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return address
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the registry does not listen")
	return ""
}

// layout writes an image without layers as an OCI layout.
func layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	blob := func(mediaType, text string) string {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		write(t, filepath.Join(dir, "blobs", "sha256", sum), text)
		return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d,"platform":{"os":"linux","architecture":"amd64"}}`, mediaType, sum, len(text))
	}
	config := blob("application/vnd.oci.image.config.v1+json", `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]},"config":{}}`)
	const manifest, index = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	image := blob(manifest, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[]}`, manifest, config))
	write(t, filepath.Join(dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
	write(t, filepath.Join(dir, "index.json"), fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, index, image))
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
