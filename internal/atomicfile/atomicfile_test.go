package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hardstand/hardstand/internal/atomicfile"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) { deptest.Check(t, deptest.Allow{}) }

func TestReplaceIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sub", "a")
	if err := atomicfile.ReplaceBytes(file, []byte("one"), 0o640); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := atomicfile.Replace(file, 0o640, func(f *os.File) error {
		_, _ = f.WriteString("tw")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Replace(link, 0o640, atomicfile.Copy(strings.NewReader("three"))); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "three" {
		t.Errorf("%q, %v: the link's target should have been replaced", data, err)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("temporary files are left: %v, %v", entries, err)
	}
}

func TestReplaceRefusesWhatIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.ReplaceBytes(pipe, nil, 0o600); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("error = %v", err)
	}
}

func TestCreateAndKeep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a")
	if err := atomicfile.Create(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Create(file, []byte("y"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error = %v", err)
	}
	secret := filepath.Join(t.TempDir(), "deep", "secret")
	got := make([]string, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			data, err := atomicfile.Keep(secret, []byte{byte('a' + i)})
			if err != nil {
				t.Error(err)
			}
			got[i] = string(data)
		})
	}
	wg.Wait()
	for _, s := range got {
		if s == "" || s != got[0] {
			t.Errorf("processes that keep a file at once get %q", got)
			break
		}
	}
}
