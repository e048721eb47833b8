package images_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/images"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{})
}

// include finds the parts as the command line does.
func include(_, name string) (string, []byte, error) {
	for _, file := range []string{"parts/" + name + ".yaml", name + ".yaml"} {
		if data, err := images.Files.ReadFile(file); err == nil {
			return file, data, nil
		}
	}
	return "", nil, errors.New("it is not built in")
}

// families parses every built-in definition.
func families(t *testing.T) map[string]*spec.Family {
	t.Helper()
	all := map[string]*spec.Family{}
	entries, err := images.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".yaml")
		if !ok {
			continue
		}
		data, err := images.Files.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		f, err := spec.ParseFamily(e.Name(), data, include)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != name {
			t.Errorf("%s calls itself %s", e.Name(), f.Name)
		}
		all[name] = f
	}
	return all
}

func lockOf(t *testing.T, name, variant string) *spec.Lock {
	t.Helper()
	if variant != "" {
		name += "-" + variant
	}
	data, err := images.Files.ReadFile(name + ".lock.json")
	if err != nil {
		t.Fatalf("%v: run hardstand lock ./images/%s.yaml", err, name)
	}
	l, err := spec.ParseLock(name+".lock.json", data)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Every image and every variant has a lock that fits, and no lock is left over.
func TestLocksFit(t *testing.T) {
	used := map[string]bool{}
	for name, f := range families(t) {
		variants := []string{""}
		for _, v := range f.Variants {
			variants = append(variants, v.Name)
		}
		for _, v := range variants {
			d, _ := f.Variant(v)
			file := f.LockName(v)
			l := lockOf(t, name, file)
			if !l.Matches(d) {
				t.Errorf("the lock of %s does not fit: run hardstand lock ./images/%s.yaml", d.Name, name)
			}
			if err := l.Check(d); err != nil {
				t.Error(err)
			}
			used[l.Name] = true
		}
	}
	locks, err := filepath.Glob("*.lock.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range locks {
		if !used[strings.TrimSuffix(file, ".lock.json")] {
			t.Errorf("%s belongs to no image", file)
		}
	}
}

// What holds for every image, whatever it is for.
func TestHouseRules(t *testing.T) {
	for name, f := range families(t) {
		d := f.Definition
		if d.Accounts.RunAs != "nonroot" || len(d.Exempt) != 0 || d.Description == "" || d.Debian.Snapshot.IsZero() {
			t.Errorf("%s: runs as %s, exempt from %v, described as %q", name, d.Accounts.RunAs, d.Exempt, d.Description)
		}
		if d.Bare {
			continue
		}
		for _, variant := range []string{"root", "debug", "debug-root"} {
			if _, ok := f.Variant(variant); !ok {
				t.Errorf("%s has no variant %s", name, variant)
			}
		}
		if d.Probe == nil || d.Canary == nil || !slices.Contains(d.Deny, "bash") || !slices.Contains(d.Deny, "dpkg") {
			t.Errorf("%s has no probe, no decoys, or may have a shell", name)
		}
	}
}

// sizes are what the end-to-end tests measured, in bytes of compressed layers
// for linux/amd64: of a whole image, and of one without probe and decoys.
type sizes map[string]struct{ Image, Packages int64 }

// TestReadme keeps README.md in step with the definitions. UPDATE=1 rewrites it.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("sizes.json")
	if err != nil {
		t.Fatal(err)
	}
	var measured sizes
	if err := json.Unmarshal(data, &measured); err != nil {
		t.Fatal(err)
	}
	all := families(t)
	var b strings.Builder
	b.WriteString(head)
	for _, suite := range []string{"trixie", "bookworm"} {
		fmt.Fprintf(&b, "\n## Debian %s (%s)\n\n| image | contents | platforms | entrypoint | packages | compressed | without probe and decoys |\n|---|---|---|---|---|---|---|\n", spec.Releases[suite], suite)
		for _, name := range order(all, suite) {
			f := all[name]
			m, ok := measured[name]
			if !ok {
				t.Errorf("sizes.json lacks %s: UPDATE=1 scripts/e2e -run Sizes measures it", name)
			}
			platforms := make([]string, len(f.Platforms))
			for i, p := range f.Platforms {
				platforms[i] = strings.TrimPrefix(p.String(), "linux/")
			}
			entrypoint := ""
			if len(f.Entrypoint) > 0 {
				entrypoint = "`" + strings.Join(f.Entrypoint, " ") + "`"
			}
			n := len(lockOf(t, name, "").Platforms["linux/amd64"])
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %d | %.1f MB | %s |\n", name, f.Description, strings.Join(platforms, ", "), entrypoint, n, mega(m.Image), without(m.Packages))
		}
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("README.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), b.String()); diff != "" {
		t.Errorf("README.md is out of step, UPDATE=1 go test ./images rewrites it:\n%s", diff)
	}
}

func mega(n int64) float64 { return float64(n) / 1e6 }

func without(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f MB", mega(n))
}

// order lists a suite's images, the smaller before those made of them.
func order(all map[string]*spec.Family, suite string) []string {
	var names []string
	for name, f := range all {
		if f.Debian.Suite == suite {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := len(all[a].Packages) - len(all[b].Packages); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

const head = `# Images

` + "`hardstand images`" + ` lists these definitions, ` + "`hardstand build NAME`" + ` makes them. This file is
written by ` + "`UPDATE=1 go test ./images`" + `; the sizes are measured, for amd64, by the
end-to-end tests. [readme](readme) has a page for each.

Every image runs as nonroot (65532) and has no shell, no package manager and no
set-id file. Each comes in variants: ` + "`NAME-root`" + ` runs as root, ` + "`NAME-debug`" + ` has
busybox in /busybox, on the PATH and as entrypoint, and no decoys,
` + "`NAME-debug-root`" + ` both. The images ` + "`probe`" + ` and ` + "`canary`" + ` hold one thing each and have
no variants.

Python compiles to byte code in memory: the images hold none, and
PYTHONDONTWRITEBYTECODE keeps programs from writing any. Java finds its
certificate authorities in /etc/ssl/certs/java/cacerts, written from the same
bundle as /etc/ssl/certs/ca-certificates.crt. Java's images leave out sound,
smart cards and printing; Node.js comes without npm and corepack.
`
