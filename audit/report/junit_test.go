package report

import (
	"encoding/xml"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
)

// TestJUnitKeepsItsSchema validates reports with a validator that is not ours.
func TestJUnitKeepsItsSchema(t *testing.T) {
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Skip("needs xmllint of libxml2-utils; make check installs it")
	}
	validate := func(report string) (string, bool) {
		cmd := exec.Command("xmllint", "--noout", "--nonet", "--schema", "testdata/junit.xsd", "-")
		cmd.Stdin = strings.NewReader(report)
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	empty := audit.NewReport(audit.Tool{Name: "hardstand"}, 1, time.Now(), nil, nil, nil, nil)
	for _, r := range []audit.Report{sample(), empty} {
		if out, ok := validate(render(t, "junit", r, Options{})); !ok {
			t.Error(out)
		}
	}
	good := render(t, "junit", sample(), Options{})
	for old, wrong := range map[string]string{
		` errors="0"`: ``, `<failure `: `<failed `, ` timestamp="2026-11-22T12:00:00"`: ` timestamp="today"`, ` classname=`: ` file=`, ` tests="`: ` tests="-`,
	} {
		bad := strings.Replace(good, old, wrong, 1)
		if wrong == `<failed ` {
			bad = strings.ReplaceAll(strings.ReplaceAll(good, old, wrong), "</failure>", "</failed>")
		}
		if _, ok := validate(bad); ok || bad == good {
			t.Errorf("a report with %q for %q is taken", wrong, old)
		}
	}
}

// TestJUnitCounts reads a report as CI systems do: the numbers at its head are
// those of its cases.
func TestJUnitCounts(t *testing.T) {
	var read struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Failure *struct{} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	data := []byte(render(t, "junit", sample(), Options{}))
	if err := xml.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	tests, failures := 0, 0
	for i, s := range read.Suites {
		failed, skipped := 0, 0
		for _, c := range s.Cases {
			if c.Failure != nil {
				failed++
			}
			if c.Skipped != nil {
				skipped++
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failed || s.Skipped != skipped {
			t.Errorf("suite %d says %d tests, %d failures, %d skipped, and has %d, %d, %d", i, s.Tests, s.Failures, s.Skipped, len(s.Cases), failed, skipped)
		}
		tests, failures = tests+len(s.Cases), failures+failed
	}
	if tests == 0 || read.Tests != tests || read.Failures != failures {
		t.Errorf("the report says %d tests, %d failures, and has %d, %d", read.Tests, read.Failures, tests, failures)
	}
	if n := sample().Summary[audit.Fail]; failures != n {
		t.Errorf("%d failures of %d findings that fail", failures, n)
	}
}
