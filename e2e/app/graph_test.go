//go:build e2e

package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An application that imports app/health and app/secret keeps its module graph,
// down to the version of grpc it has chosen. Needs a module proxy.
func TestImportersGraphStays(t *testing.T) {
	app, err := filepath.Abs("../../app")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gocmd := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -trimpath")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %v: %v", args, err)
		}
		return string(out)
	}
	const mod = "module importer\n\ngo 1.26\n\nrequire google.golang.org/grpc v1.60.0\n"
	const grpcOnly = "package main\n\nimport \"google.golang.org/grpc\"\n\nfunc main() { grpc.NewServer() }\n"
	write("go.mod", mod)
	write("main.go", grpcOnly)
	gocmd("mod", "tidy")
	before := gocmd("list", "-m", "all")

	gocmd("mod", "edit", "-require=github.com/hardstand/hardstand/app@v0.1.0", "-replace=github.com/hardstand/hardstand/app="+app)
	write("main.go", strings.Replace(grpcOnly, "import ", "import _ \"github.com/hardstand/hardstand/app/health\"\nimport _ \"github.com/hardstand/hardstand/app/secret\"\nimport ", 1))
	gocmd("mod", "tidy")
	gocmd("build", "-o", os.DevNull, ".")
	var after []string
	for line := range strings.Lines(gocmd("list", "-m", "all")) {
		if !strings.HasPrefix(line, "github.com/hardstand/hardstand/app ") {
			after = append(after, line)
		}
	}
	if got := strings.Join(after, ""); got != before {
		t.Errorf("modules before\n%s\nand after\n%s", before, got)
	}
	if !strings.Contains(before, "google.golang.org/grpc v1.60.0") {
		t.Errorf("the importer's grpc is not the one chosen:\n%s", before)
	}
}
