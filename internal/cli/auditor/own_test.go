package auditor_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit/scan/reach/govulncheck"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/auditor"
)

// TestOwnRepository audits hardstand itself: its workflows and whatever else
// in it can be judged, with the settings at its top.
func TestOwnRepository(t *testing.T) {
	t.Chdir("../../..")
	var out, errs bytes.Buffer
	f := &cli.Frame{Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: time.Now, Version: "test"}
	code := cli.Run(t.Context(), f, auditor.New(f, auditor.Companions{Compose: composefile.Read, Reach: govulncheck.Analyse}), []string{"audit", ".", "--fail-on", "warn", "--all"})
	if code != cli.ExitDone {
		t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	if !strings.Contains(out.String(), ".github/workflows/ci.yml") {
		t.Errorf("the workflows were not looked at:\n%s", out.String())
	}
}
