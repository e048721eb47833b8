package workload

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
)

// A service that extends another of its file has what that one says; one that
// extends a file nobody opens may have anything.
func TestComposeExtensions(t *testing.T) {
	text := `
services:
  web: {image: a, extends: {service: base}}
  base: {image: b, privileged: true}
  other: {image: c, extends: {file: more.yml, service: x}}
  chain: {image: d, extends: other}
`
	res, err := Audit(t.Context(), Input{Name: "compose.yaml", Kind: audit.Compose, Data: []byte(text)}, Options{Compose: composefile.Read})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]audit.Verdict{}
	for _, f := range res.Findings {
		service, _, _ := strings.Cut(strings.TrimPrefix(f.Locator.Pointer, "/services/"), "/")
		if f.Rule == "CHG-3.3r" {
			got[service] = f.Verdict
		}
		if (service == "other" || service == "chain") && f.Verdict == audit.Pass {
			t.Errorf("%s of %s passes, and %s says that a file was not opened", f.Rule, service, res.Notes)
		}
	}
	for service, want := range map[string]audit.Verdict{"web": audit.Fail, "base": audit.Fail, "other": audit.Unknown, "chain": audit.Unknown} {
		if got[service] != want {
			t.Errorf("%s is %q, want %s", service, got[service], want)
		}
	}
}

// Each container has a finding of every rule, so their number is bounded.
func TestContainersAreBounded(t *testing.T) {
	for _, n := range []int{maxContainers, maxContainers + 1} {
		var b strings.Builder
		b.WriteString("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {name: s%d, image: x}\n", i)
		}
		_, err := Audit(t.Context(), Input{Name: "pod.yaml", Kind: audit.Kubernetes, Data: []byte(b.String())}, Options{})
		if (err != nil) != (n > maxContainers) {
			t.Errorf("%d containers: %v", n, err)
		}
	}
}

// A number that no machine reaches, or that is below zero, limits nothing.
func TestLimitsLimit(t *testing.T) {
	for value, want := range map[string]audit.Verdict{
		"512": audit.Pass, `"512"`: audit.Pass, `"1 GB"`: audit.Pass, "2147483647": audit.Pass,
		"0": audit.Fail, "-1": audit.Fail, "1e40": audit.Fail, "1e999": audit.Fail, `"NaN"`: audit.Fail, "null": audit.Fail,
	} {
		text := `{"family":"f","containerDefinitions":[{"name":"a","image":"x","cpu":256,"memory":` + value + `}]}`
		res, err := Audit(t.Context(), Input{Name: "task.json", Kind: audit.ECS, Data: []byte(text)}, Options{})
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		for _, f := range res.Findings {
			if f.Rule == "CHG-3.4q" && f.Verdict != want {
				t.Errorf("memory %s is %s (%s), want %s", value, f.Verdict, f.Observed, want)
			}
		}
	}
}

func TestTemplatesAreNamed(t *testing.T) {
	text := "apiVersion: v1\nkind: Deployment\nmetadata:\n  name: {{ .Values.name }}\n{{- if .Values.x }}\n  x: y\n{{- end }}\n"
	_, err := Audit(t.Context(), Input{Name: "d.yaml", Kind: audit.Kubernetes, Data: []byte(text)}, Options{})
	if !errors.Is(err, ErrTemplate) {
		t.Errorf("error %v", err)
	}
}
