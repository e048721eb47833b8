//go:build e2e

package images_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// size is what an image takes in a registry, in bytes of compressed layers for
// linux/amd64.
type size struct {
	Image    int64 // as it is
	Packages int64 // without probe and decoys; 0 for an image that is nothing else
}

// gates are how large the packages of an image may be.
var gates = map[string]int64{"static": 900_000, "base": 7_050_000}

// TestSizes builds every image and compares its size with what images/README.md
// says. UPDATE=1 writes down what it measures.
func TestSizes(t *testing.T) {
	const record = "../../images/sizes.json"
	var written map[string]size
	data, err := os.ReadFile(record)
	if err == nil {
		err = json.Unmarshal(data, &written)
	}
	if err != nil && os.Getenv("UPDATE") == "" {
		t.Fatal(err)
	}
	definitions, err := filepath.Glob("../../images/*.yaml")
	if err != nil || len(definitions) == 0 {
		t.Fatal(definitions, err)
	}
	measured := map[string]size{}
	for _, file := range definitions {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		s := measure(t, name)
		measured[name] = s
		if limit := gates[name]; limit > 0 && s.Packages > limit {
			t.Errorf("%s is %d bytes without probe and decoys, at most %d", name, s.Packages, limit)
		}
		if w := written[name]; !near(s.Image, w.Image) || !near(s.Packages, w.Packages) {
			if os.Getenv("UPDATE") == "" {
				t.Errorf("%s is %+v, images/sizes.json says %+v", name, s, w)
			}
		}
	}
	if os.Getenv("UPDATE") == "" {
		return
	}
	data, err = json.MarshalIndent(measured, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// near allows a tenth: updates change sizes a little, and nobody should have to
// write that down every day.
func near(a, b int64) bool { return a <= b+b/10 && b <= a+a/10 }

func measure(t *testing.T, name string) size {
	t.Helper()
	if imageSizes[name] == 0 {
		layoutOf(t, name)
	}
	s := size{Image: imageSizes[name]}
	if name == "probe" || name == "canary" {
		return s
	}
	dir := t.TempDir()
	// The same packages under a definition of its own, by the same lock.
	text := fmt.Sprintf("name: %s\ninclude: %s\nprobe: false\ncanary: false\n", name, name)
	if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("../../images/" + name + ".lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".lock.json"), lock, 0o644); err != nil {
		t.Fatal(err)
	}
	s.Packages = layersOf(t, filepath.Join(dir, "layout"), filepath.Join(dir, name+".yaml"))
	return s
}

// layersOf builds an image for amd64 into a layout and returns its size.
func layersOf(t *testing.T, layout, what string) int64 {
	t.Helper()
	var result struct{ Images []struct{ Size int64 } }
	out := hardstand(t, "build", what, "-q", "--locked", "--json", "--platform", "linux/amd64", "-o", "oci:"+layout)
	if err := json.Unmarshal([]byte(out), &result); err != nil || len(result.Images) != 1 {
		t.Fatalf("%v in %s", err, out)
	}
	return result.Images[0].Size
}
