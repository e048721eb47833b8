package collector

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/canary/collector/web"
	"github.com/hardstand/hardstand/internal/cli"
)

func TestAdminToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	var out, err bytes.Buffer
	f := &cli.Frame{Stdout: &out, Stderr: &err}
	if err := runAdminToken(f, file); err != nil {
		t.Fatal(err)
	}
	text, readErr := os.ReadFile(file)
	info, statErr := os.Stat(file)
	if readErr != nil || statErr != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v %v", readErr, statErr, info)
	}
	token := strings.TrimSpace(string(text))
	if want := "admin-token-hash: " + web.HashToken(token) + "\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	if strings.Contains(out.String()+err.String(), token) {
		t.Error("the token was printed")
	}
	if err := runAdminToken(f, file); err == nil {
		t.Error("a token was overwritten")
	}
}
