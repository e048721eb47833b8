//go:build e2e

package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/rootfs"
)

// TestReproducible builds base from the real archive under conditions that
// must not matter, and under one that must.
func TestReproducible(t *testing.T) {
	dir := t.TempDir()
	cold := []string{"XDG_CACHE_HOME=" + filepath.Join(dir, "cold")}
	build := func(env []string) summary {
		t.Helper()
		return parseSummary(t, must(t, dir, env, bin(t, "hardstand"), "build", "base", "-o", "oci:base", "--json", "-q"))
	}
	first := build([]string{"GOMAXPROCS=1"})
	if again := build([]string{"GOMAXPROCS=7"}); again.Digest != first.Digest {
		t.Errorf("warm cache: %s, want %s", again.Digest, first.Digest)
	}
	if empty := build(append(cold, "GOMAXPROCS=2")); empty.Digest != first.Digest {
		t.Errorf("empty cache: %s, want %s", empty.Digest, first.Digest)
	}
	stamp := fmt.Sprintf("SOURCE_DATE_EPOCH=%d", 1_500_000_000+rand.Int64N(200_000_000))
	a, b := build([]string{stamp}), build(append(cold, stamp, "GOMAXPROCS=1"))
	if a.Digest != b.Digest {
		t.Errorf("%s: %s and %s", stamp, a.Digest, b.Digest)
	}
	if a.Digest == first.Digest {
		t.Errorf("%s has no effect", stamp)
	}
}

// TestAnotherToolUnpacksTheSameTree compares what umoci makes of a layout with
// what the layers say.
func TestAnotherToolUnpacksTheSameTree(t *testing.T) {
	dir := t.TempDir()
	hardstand(t, dir, "build", "base", "-o", "oci:base", "-q", "--platform", "linux/amd64")
	idx, err := oci.ReadLayout(filepath.Join(dir, "base"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]rootfs.Entry{}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		entries, _, err := rootfs.ReadTar(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		for _, e := range entries {
			want[e.Path] = e
		}
	}
	must(t, dir, nil, "skopeo", "copy", "-q", "oci:base", "oci:single:latest")
	must(t, dir, nil, "umoci", "unpack", "--image", "single:latest", "unpacked")
	root := filepath.Join(dir, "unpacked", "rootfs")
	seen := 0
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		seen++
		compare(t, rel, want[rel], p, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(want) || seen < 1000 {
		t.Errorf("umoci unpacks %d paths, the layers hold %d", seen, len(want))
	}
}

func compare(t *testing.T, rel string, want rootfs.Entry, path string, d fs.DirEntry) {
	t.Helper()
	info, err := d.Info()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if want.Path == "" {
		t.Errorf("/%s is in no layer", rel)
		return
	}
	kinds := map[rootfs.Type]bool{rootfs.Dir: info.IsDir(), rootfs.Symlink: info.Mode()&fs.ModeSymlink != 0,
		rootfs.File: info.Mode().IsRegular(), rootfs.Hardlink: info.Mode().IsRegular()}
	if !kinds[want.Type] {
		t.Errorf("/%s is %v, want a %s", rel, info.Mode(), want)
	}
	if want.Type == rootfs.Hardlink && stat.Nlink < 2 {
		t.Errorf("/%s is no hard link", rel)
	}
	if info.ModTime().Unix() != want.ModTime && want.Type != rootfs.Dir {
		t.Errorf("/%s has time %d, want %d", rel, info.ModTime().Unix(), want.ModTime)
	}
	if want.Type == rootfs.Symlink {
		if to, err := os.Readlink(path); err != nil || to != want.Link {
			t.Errorf("/%s links to %q, want %q", rel, to, want.Link)
		}
		return
	}
	if stat.Mode&0o7777 != want.Mode || int(stat.Uid) != want.UID || int(stat.Gid) != want.GID {
		t.Errorf("/%s is %04o %d:%d, want %04o %d:%d", rel, stat.Mode&0o7777, stat.Uid, stat.Gid, want.Mode, want.UID, want.GID)
	}
	if want.Type == rootfs.File {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want.SHA256 {
			t.Errorf("/%s has other contents", rel)
		}
	}
}

// TestStaticImageRunsAStaticProgram runs a Go program in static, read-only and
// without capabilities, until the baked-in probe finds it healthy.
func TestStaticImageRunsAStaticProgram(t *testing.T) {
	dir := t.TempDir()
	must(t, "..", []string{"CGO_ENABLED=0", "HOME=" + os.Getenv("HOME")}, "go", "build", "-o", filepath.Join(dir, "hello"), "./e2e/hello")
	tag := "hardstand-e2e/static:1"
	hardstand(t, dir, "wrap", "hello", "-o", "docker:"+tag)
	id := docker(t, "run", "-d", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--health-interval=1s", tag)
	t.Cleanup(func() { docker(t, "rm", "-f", id) })
	await(t, "healthy", 20*time.Second, func() bool { return docker(t, "inspect", "-f", "{{.State.Health.Status}}", id) == "healthy" })
	if user := docker(t, "inspect", "-f", "{{.Config.User}}", id); user != "65532" {
		t.Errorf("it runs as %q", user)
	}
}

const opensslProgram = `
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
int main(void) {
	unsigned char out[32];
	unsigned int n = 0;
	EVP_Digest("hardstand", 9, out, &n, EVP_sha256(), NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || n != 32 || !SSL_CTX_set_default_verify_paths(ctx)) return 1;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	if (!store || !X509_STORE_load_file(store, "/etc/ssl/certs/ca-certificates.crt")) return 2;
	printf("%s certificates=%d digest=%02x%02x\n", OpenSSL_version(OPENSSL_VERSION) ? "ok" : "no",
		(int)(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 100), out[0], out[1]);
	return 0;
}
`

// TestBaseImageRunsADynamicProgram runs a C program that is linked against
// libssl in base.
func TestBaseImageRunsADynamicProgram(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tls.c"), []byte(opensslProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, dir, nil, "gcc", "-o", "tls", "tls.c", "-lssl", "-lcrypto")
	tag := "hardstand-e2e/base:1"
	hardstand(t, dir, "wrap", "tls", "-o", "docker:"+tag)
	got := docker(t, "run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", tag)
	sum := sha256.Sum256([]byte("hardstand"))
	if want := fmt.Sprintf("ok certificates=1 digest=%02x%02x", sum[0], sum[1]); got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
}

// TestHealthcheckSurvives says which outputs keep the HEALTHCHECK.
func TestHealthcheckSurvives(t *testing.T) {
	dir := t.TempDir()
	for kind, output := range map[string]string{"docker": "docker:hardstand-e2e/kept:1", "docker-archive": "docker-archive:kept.tar"} {
		hardstand(t, dir, "build", "static", "-o", output, "-q")
		tag := "hardstand-e2e/kept:1"
		if kind == "docker-archive" {
			docker(t, "load", "-q", "-i", filepath.Join(dir, "kept.tar"))
			tag = "hardstand/static:latest"
		}
		if got := docker(t, "image", "inspect", "-f", "{{.Config.Healthcheck.Test}}", tag); got != "[CMD /bin/probe]" {
			t.Errorf("%s: health check %q", kind, got)
		}
	}
}

// TestImageHasNoShellAndNoSetuid looks for what an intruder would like. The
// decoys carry such names, and only they.
func TestImageHasNoShellAndNoSetuid(t *testing.T) {
	dir := t.TempDir()
	hardstand(t, dir, "build", "base", "--no-canary", "-o", "oci:plain", "-q", "--platform", "linux/amd64")
	must(t, dir, nil, "skopeo", "copy", "-q", "oci:plain", "oci:single:latest")
	must(t, dir, nil, "umoci", "unpack", "--image", "single:latest", "unpacked")
	root := filepath.Join(dir, "unpacked", "rootfs")
	for _, name := range []string{"sh", "bash", "dash", "apt-get", "dpkg", "curl", "wget", "perl", "openssl"} {
		for _, in := range []string{"usr/bin", "usr/sbin"} {
			if _, err := os.Lstat(filepath.Join(root, in, name)); err == nil {
				t.Errorf("/%s/%s is in the image", in, name)
			}
		}
	}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			t.Errorf("%s is set-id", strings.TrimPrefix(p, root))
		}
		if info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
			t.Errorf("%s is world-writable", strings.TrimPrefix(p, root))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
