package health

import (
	"os/exec"
	"strings"
	"testing"
)

// The package may depend on the standard library and on its own internals: an
// application that imports it takes on nothing else.
func TestDependsOnStandardLibraryAlone(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) == 0 {
		t.Fatal("go list -deps printed nothing, not even the package itself")
	}
	for _, dep := range deps {
		if !strings.HasPrefix(dep, "github.com/hardstand/hardstand/app/health") {
			t.Errorf("health must not depend on %s", dep)
		}
	}
}
