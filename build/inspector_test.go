package build

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/rootfs"
)

// A program is understood whether it is read in memory or, being large, from a
// file, of which nothing stays.
func TestInspector(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(executable)
	if err != nil {
		t.Fatal(err)
	}
	want, err := elf.Read(program)
	if err != nil || want == nil {
		t.Fatalf("the test itself: %v, %v", want, err)
	}
	large := append(bytes.Clone(program), make([]byte, maxInspectedInMemory)...) // bytes after the sections change nothing
	c, err := cache.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	spooled := 0
	i := &inspector{scratch: func() (*os.File, error) { spooled++; return c.Scratch() }}
	for name, data := range map[string][]byte{"large": large, "text": bytes.Repeat([]byte("text "), maxInspectedInMemory), "short": []byte("\x7fEL"), "small": program[:100]} {
		w := i.file(rootfs.Entry{Path: name, Size: int64(len(data))})
		if w == nil {
			continue // too short to be a program
		}
		for _, step := range [][]byte{data[:2], data[2:7], data[7:]} {
			if _, err := w.Write(step); err != nil {
				t.Fatal(name, err)
			}
		}
		i.finish()
		if wrong := len(i.errs) > 0; wrong != (name == "small") {
			t.Errorf("%s: %v", name, i.errs)
		}
		i.errs = nil
	}
	found, err := i.done()
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]*elf.Info{"large": want}, found); diff != "" {
		t.Error(diff)
	}
	if spooled != 1 {
		t.Errorf("%d files were written, want that of the large program", spooled)
	}
	if left, err := os.ReadDir(c.Dir() + "/tmp"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
