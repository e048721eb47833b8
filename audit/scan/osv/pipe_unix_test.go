//go:build unix

package osv_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hardstand/hardstand/audit/scan/osv"
)

// TestPipesAreNotRead: nobody writes to them, and a scan would wait for ever.
func TestPipesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Go"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"database", "Go/all.zip", "Go/x.json"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, location := range []string{filepath.Join(dir, "database"), dir} {
		if a, err := ask(t, osv.Options{Location: location}, osv.Query{Ecosystem: "Go", Names: []string{"x"}}); err == nil {
			t.Errorf("%s: accepted, with %d entries", location, a.Entries)
		}
	}
	if err := os.Remove(filepath.Join(dir, "Go", "all.zip")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("x.json", filepath.Join(dir, "Go", "y.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, osv.Options{Location: dir}, osv.Query{Ecosystem: "Go", Names: []string{"x"}}); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a link to a pipe: %v", err)
	}
}
