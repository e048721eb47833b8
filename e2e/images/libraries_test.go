//go:build e2e

package images_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/elf"
)

const threadsProgram = `
#include <algorithm>
#include <iostream>
#include <regex>
#include <stdexcept>
#include <vector>
#include <omp.h>
int main() {
	std::vector<int> squares(1000);
	int threads = 0;
	#pragma omp parallel for
	for (int i = 0; i < 1000; i++) { squares[i] = i * i; }
	#pragma omp parallel
	{
		#pragma omp single
		threads = omp_get_num_threads();
	}
	try { throw std::runtime_error("caught"); } catch (const std::exception &e) { std::cout << e.what() << ' '; }
	std::cout << std::regex_match("abc", std::regex("a.c")) << ' ' << *std::max_element(squares.begin(), squares.end()) << ' ' << threads << '\n';
}
`

// TestCC runs a C++ program with exceptions, regular expressions and OpenMP.
func TestCC(t *testing.T) {
	dir := t.TempDir()
	source, program := filepath.Join(dir, "threads.cc"), filepath.Join(dir, "threads")
	if err := os.WriteFile(source, []byte(threadsProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "g++", "-fopenmp", "-O1", "-o", program, source)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tag := image(t, "cc")
	if got := confinedRun(t, "-e", "OMP_NUM_THREADS=3", "-v", dir+":/app:ro", tag, "/app/threads"); got != "caught 1 998001 3" {
		t.Errorf("it prints %q", got)
	}
}

// TestDebug looks around with the shell of a debug image.
func TestDebug(t *testing.T) {
	tag := image(t, "static-debug")
	got := confinedRun(t, tag, "-c", "busybox | head -1 | cut -c1-15; id -u; ls -d /busybox/sh; wc -l </etc/passwd; wget --help 2>&1 | grep -c Usage")
	if got != "BusyBox v1.37.0\n65532\n/busybox/sh\n3\n1" {
		t.Errorf("it prints %q", got)
	}
	if user := configOf(t, image(t, "static-debug-root")).User; user != "0" {
		t.Errorf("the root variant runs as %q", user)
	}
}

// TestLoaderCache compares the loader's cache with the one that ldconfig makes
// of the unpacked image.
func TestLoaderCache(t *testing.T) {
	if _, err := exec.LookPath("ldconfig"); err != nil {
		t.Fatal("ldconfig (Debian package libc-bin) is missing")
	}
	for _, name := range []string{"python3", "java-base", "python3-bookworm"} {
		t.Run(name, func(t *testing.T) {
			layout := filepath.Join(t.TempDir(), name)
			hardstand(t, "build", name, "-q", "--locked", "--no-canary", "-o", "oci:"+layout, "--platform", "linux/amd64")
			root := unpack(t, layout, "linux/amd64")
			ours := loaderCache(t, root)
			run(t, "ldconfig", "-r", root)
			if len(ours) < 20 {
				t.Errorf("the cache has %d libraries", len(ours))
			}
			if diff := cmp.Diff(loaderCache(t, root), ours); diff != "" {
				t.Errorf("-ldconfig +hardstand:\n%s", diff)
			}
		})
	}
}

func loaderCache(t *testing.T, root string) []elf.Library {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "etc/ld.so.cache"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := elf.ReadCache(data)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range list { // two names of one directory
		list[i].Path = strings.TrimPrefix(l.Path, "/usr")
	}
	return list
}
