//go:build e2e

package images_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// foreign are the platforms, with the emulator that runs their programs and
// the machine that those are for.
var foreign = map[string]struct {
	emulator string
	machine  elf.Machine
}{
	"linux/arm64":   {"qemu-aarch64-static", elf.EM_AARCH64},
	"linux/arm/v7":  {"qemu-arm-static", elf.EM_ARM},
	"linux/riscv64": {"qemu-riscv64-static", elf.EM_RISCV},
	"linux/ppc64le": {"qemu-ppc64le-static", elf.EM_PPC64},
	"linux/s390x":   {"qemu-s390x-static", elf.EM_S390},
}

func emulator(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v (Debian package qemu-user-static)", err)
	}
	return path
}

// TestProbeOfEveryPlatform runs each platform's probe against a port that
// nobody listens on. The decoys are checked to be for their platform, not run:
// they would raise alarms on this machine.
func TestProbeOfEveryPlatform(t *testing.T) {
	for platform, f := range foreign {
		t.Run(strings.ReplaceAll(platform, "/", "-"), func(t *testing.T) {
			dir := t.TempDir()
			hardstand(t, "build", "probe", "-q", "--locked", "--platform", platform, "-o", "oci:"+filepath.Join(dir, "probe"))
			probe := filepath.Join(unpack(t, filepath.Join(dir, "probe"), platform), "usr/bin/probe")
			if out, stderr, code := try(t, emulator(t, f.emulator), probe, "tcp://127.0.0.1:1"); code != 1 || !strings.Contains(out+stderr, "refused") {
				t.Errorf("the probe exits with %d and says %q %q", code, out, stderr)
			}
			hardstand(t, "build", "canary", "-q", "--locked", "--platform", platform, "-o", "oci:"+filepath.Join(dir, "canary"))
			decoy, err := elf.Open(filepath.Join(unpack(t, filepath.Join(dir, "canary"), platform), "usr/bin/curl"))
			if err != nil {
				t.Fatal(err)
			}
			if err := decoy.Close(); err != nil {
				t.Error(err)
			}
			if decoy.Machine != f.machine {
				t.Errorf("the decoy is for %v, want %v", decoy.Machine, f.machine)
			}
		})
	}
}

// TestPythonOfAnotherPlatform runs arm64's Python with its libraries.
func TestPythonOfAnotherPlatform(t *testing.T) {
	layout := filepath.Join(t.TempDir(), "python3")
	hardstand(t, "build", "python3", "-q", "--locked", "--no-canary", "--platform", "linux/arm64", "-o", "oci:"+layout)
	root := unpack(t, layout, "linux/arm64")
	if _, err := os.Stat(filepath.Join(root, "etc/ld.so.cache")); err != nil {
		t.Error(err)
	}
	got := run(t, emulator(t, "qemu-aarch64-static"), "-L", root, filepath.Join(root, "usr/bin/python3.13"), "-c",
		`import platform, sqlite3, ssl, lzma, zlib; print(platform.machine(), ssl.OPENSSL_VERSION.split()[0], sqlite3.connect(":memory:").execute("select 6*7").fetchone()[0])`)
	if got != "aarch64 OpenSSL 42" {
		t.Errorf("it prints %q", got)
	}
}
