//go:build e2e

package audit_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestOwnImages audits hardstand's own images, decoys included: their register
// tells them from real tools. What the images cannot answer by themselves stays
// unknown; that no credential files are planted by default is the one failure.
func TestOwnImages(t *testing.T) {
	dir := os.Getenv("HARDSTAND_BIN")
	if dir == "" {
		t.Skip("needs HARDSTAND_BIN; scripts/e2e sets it")
	}
	work := t.TempDir()
	run := func(args ...string) ([]byte, int) {
		t.Helper()
		cmd := exec.Command(filepath.Join(dir, "hardstand"), args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+work+"/config", "XDG_STATE_HOME="+work+"/state")
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return out, cmd.ProcessState.ExitCode()
	}
	for _, image := range []string{"static", "base", "cc"} {
		if _, code := run("build", image, "-o", "oci:"+image, "--platform", "linux/amd64", "-q"); code != 0 {
			t.Fatalf("build %s: exit code %d", image, code)
		}
		registers, err := filepath.Glob(filepath.Join(work, "state/hardstand/registers", image+"-*.register"))
		if err != nil || len(registers) != 1 {
			t.Fatalf("registers of %s: %v, %v", image, registers, err)
		}
		out, code := run("audit", "oci:"+image, "--no-config", "--format", "json", "--register", registers[0], "--fail-on", "high")
		if code != 0 {
			t.Errorf("audit %s: exit code %d", image, code)
		}
		var report struct {
			Findings []struct{ Rule, Verdict string } `json:"findings"`
		}
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatal(err)
		}
		var failed []string
		passed := 0
		for _, f := range report.Findings {
			switch f.Verdict {
			case "fail", "warn":
				failed = append(failed, f.Rule)
			case "pass":
				passed++
			}
		}
		if want := []string{"CHG-4.5i"}; !slices.Equal(failed, want) || passed < 10 {
			t.Errorf("audit %s: %v failed, want %v; %d passed", image, failed, want, passed)
		}
		if _, code := run("audit", "oci:"+image, "--no-config", "--fail-on", "high"); code != 3 {
			t.Errorf("audit %s without the register: exit code %d, want 3: the decoys look like tools", image, code)
		}
	}
}
