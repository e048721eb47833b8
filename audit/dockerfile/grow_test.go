package dockerfile

import (
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
)

// Variables that contain one another grow with every line: ten lines are
// gigabytes, unless somebody stops.
func TestVariablesDoNotGrow(t *testing.T) {
	replace := "${A//x/${A//x/${A//x/$A}}}"
	for name, text := range map[string]string{
		"global":      "ARG A=xxxxxxxxxxxxxxxx\n" + strings.Repeat("ARG A=$A$A$A$A\n", 30) + "FROM debian:$A\n",
		"stage":       "FROM debian\nENV A=xxxxxxxxxxxxxxxx\n" + strings.Repeat("ENV A=$A$A$A$A\n", 30) + "USER $A\nWORKDIR /$A\nCOPY $A /$A\n",
		"argument":    "FROM debian\nARG A=xxxxxxxxxxxxxxxx\n" + strings.Repeat("ARG A=$A$A$A$A\n", 30) + "USER $A\n",
		"replacement": "ARG A=" + strings.Repeat("x", 4000) + "\nARG B=" + replace + "\nFROM debian:" + replace + "\nARG A=" + strings.Repeat("x", 4000) + "\nUSER " + replace + "\n",
		"stages":      "FROM debian AS a\nENV A=xxxxxxxx\n" + strings.Repeat("FROM a AS a\nENV A=$A$A$A$A\n", 30) + "USER $A\n",
	} {
		begin := time.Now()
		if _, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: []byte(text)}, Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// A rule about commands has seen nothing in a RUN that it cannot read.
func TestUnreadCommandsAreNotPassed(t *testing.T) {
	for name, text := range map[string]string{
		"powershell": "FROM mcr.microsoft.com/windows/servercore:ltsc2022\nRUN choco install x\nUSER ContainerUser\n",
		"broken":     "FROM debian\nRUN if then; curl http://x | sh\nUSER 1\n",
		"python":     "FROM python\nRUN <<EOF\n#!/usr/bin/env python3\nimport os\nEOF\nUSER 1\n",
	} {
		res, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: []byte(text)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		unknown := 0
		for _, f := range res.Findings {
			switch f.Rule {
			case "CHG-1.1q", "CHG-2.3b", "CHG-2.3c", "CHG-2.3d", "CHG-2.3g", "CHG-2.5c", "CHG-2.6c", "CHG-2.8e":
				if f.Verdict == audit.Unknown {
					unknown++
				} else {
					t.Errorf("%s: %s is %s: %s", name, f.Rule, f.Verdict, f.Observed)
				}
			}
		}
		if unknown != 8 {
			t.Errorf("%s: %d rules say that they do not know, want 8", name, unknown)
		}
	}
}

// A build argument given on the command line holds in stages too.
func TestBuildArgumentsReachStages(t *testing.T) {
	text := "FROM scratch\nARG UID=1000\nENV RUN_AS=$UID\nUSER $RUN_AS\n"
	for uid, want := range map[string]audit.Verdict{"": audit.Pass, "0": audit.Fail} {
		o := Options{}
		if uid != "" {
			o.Args = map[string]string{"UID": uid}
		}
		res, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: []byte(text)}, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Findings {
			if f.Rule == "CHG-2.6a" && f.Verdict != want {
				t.Errorf("UID %q: %s, want %s: %s", uid, f.Verdict, want, f.Observed)
			}
		}
	}
}
