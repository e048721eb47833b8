//go:build e2e

package images_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build/effect"
)

// server is a server whose certificate no public authority signed.
type server struct {
	url string
	// dir holds what programs trust it by: bundle, in the form of
	// /etc/ssl/certs/ca-certificates.crt, and cacerts, a Java keystore.
	dir string
}

func secureServer(t *testing.T) server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	keystore, err := effect.Keystore(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"bundle": bundle, "cacerts": keystore} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return server{s.URL, dir}
}

// bundle and keystore are the files of an image that decide whom it trusts.
const (
	bundle   = "/etc/ssl/certs/ca-certificates.crt"
	keystore = "/etc/ssl/certs/java/cacerts"
)

// verified runs a program that fetches the server's page: it has to get it when
// the image's own file of authorities is replaced by one with the server's, and
// to refuse otherwise. flags are Docker's and end with the image.
func (s server) verified(t *testing.T, file, refusal string, flags []string, argv ...string) {
	t.Helper()
	base := []string{"run", "--rm", "--network=host", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"}
	own := map[string]string{bundle: "bundle", keystore: "cacerts"}[file]
	trusting := append(slices.Clone(base), "-v", filepath.Join(s.dir, own)+":"+file+":ro")
	if got := run(t, "docker", slices.Concat(trusting, flags, argv)...); got != "fetched=hello" {
		t.Errorf("with the server's authority in %s: %q", file, got)
	}
	_, stderr, code := try(t, "docker", slices.Concat(base, flags, argv)...)
	if code == 0 || !strings.Contains(stderr, refusal) {
		t.Errorf("with the image's own authorities: exit code %d, %s", code, stderr)
	}
}

const goProgram = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	r, err := http.Get(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(r.Body)
	fmt.Printf("fetched=%s", body)
}
`

// TestStaticVerifies has a statically linked program trust whom static trusts.
func TestStaticVerifies(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(goProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "fetch"), filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := secureServer(t)
	for _, name := range []string{"static", "static-bookworm-root"} {
		s.verified(t, bundle, "signed by unknown authority", []string{"-v", dir + ":/app:ro", image(t, name)}, "/app/fetch", s.url)
	}
}

// TestProbeToCopy runs the image probe as it is, and its program and the decoys
// copied into an image of somebody else.
func TestProbeToCopy(t *testing.T) {
	probe, canary := image(t, "probe"), image(t, "canary")
	dir := t.TempDir()
	text := "FROM scratch\nCOPY --from=" + canary + " / /\nCOPY --from=" + probe + " /bin/probe /health\nENTRYPOINT [\"/health\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_BUILDKIT", "0") // which this Docker has without plugins
	copied := "hardstand-e2e-images/copied:1"
	run(t, "docker", "build", "-q", "-t", copied, dir)
	t.Cleanup(func() { run(t, "docker", "rmi", "-f", copied) })
	for _, tag := range []string{probe, copied} {
		if out, stderr, code := try(t, "docker", append(slices.Clone(confined), tag, "tcp://127.0.0.1:1")...); code != 1 || !strings.Contains(out+stderr, "refused") {
			t.Errorf("%s exits with %d and says %q %q", tag, code, out, stderr)
		}
	}
	if _, stderr, _ := try(t, "docker", append(slices.Clone(confined), "--entrypoint=/usr/bin/curl", copied, "http://x")...); !strings.Contains(stderr, `"decoy":"curl"`) {
		t.Errorf("the decoy says %q", stderr)
	}
}
