package sign

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/sign/kmstest"
)

// TestMain makes the test binary a plugin when it is called by the plugin's
// name: the other side of the protocol is a process, as in life.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == kmstest.Program {
		if err := kmstest.Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestLoadKMS(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, kmstest.Program)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	s, err := LoadKMS(context.Background(), "test://release-key")
	if err != nil {
		t.Fatal(err)
	}
	checkWithCosign(t, s)
	other, err := LoadKMS(context.Background(), "test://another")
	if err != nil {
		t.Fatal(err)
	}
	if other.Key().ID == s.Key().ID {
		t.Error("two keys of the service are the same")
	}
}

func TestLoadKMSRefuses(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for reference, want := range map[string]string{
		"absent://key":     "on the PATH",
		"hardstand.key":    "NAME://KEY",
		"../../bin/sh://x": "NAME://KEY",
		"awskms:// a key":  "NAME://KEY",
		"UPPER://key":      "NAME://KEY",
	} {
		if _, err := LoadKMS(context.Background(), reference); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", reference, err, want)
		}
	}
}
