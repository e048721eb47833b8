//go:build unix

package dockerfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A named pipe in a context is not opened: nobody writes to it.
func TestPipesInTheContext(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"go.mod", ".dockerignore"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = Audit(t.Context(), Input{Name: "Dockerfile", Data: []byte("FROM scratch\nCOPY . /\n"), Context: os.DirFS(dir)}, Options{})
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the audit waits for a pipe", name)
		}
	}
}
