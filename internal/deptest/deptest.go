// Package deptest keeps package boundaries: a test inside the guarded package
// lists its dependencies and compares them with an allow-list. Tests only.
package deptest

import (
	"os/exec"
	"strings"
	"testing"
)

// Allow maps an import path, or a prefix ending in "/...", to the reason the
// guarded package may depend on it.
type Allow map[string]string

// Check fails t unless every dependency of the package in the current
// directory, outside the standard library, is covered by allow, and every
// entry of allow covers at least one dependency and states a reason. env holds
// extra variables for the go command, such as GOOS or GOARCH.
func Check(t *testing.T, allow Allow, env ...string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	deps := strings.Fields(string(out))
	if len(deps) == 0 {
		t.Fatal("go list -deps printed nothing, not even the package itself")
	}
	self := deps[len(deps)-1]
	used := map[string]bool{}
	for _, dep := range deps {
		if dep == self {
			continue
		}
		rule := allow.match(dep)
		if rule == "" {
			t.Errorf("%s must not depend on %s", self, dep)
		}
		used[rule] = true
	}
	for rule, reason := range allow {
		if reason == "" {
			t.Errorf("allow-list entry %s states no reason", rule)
		}
		if !used[rule] {
			t.Errorf("allow-list entry %s matches no dependency of %s: remove it", rule, self)
		}
	}
}

func (a Allow) match(dep string) string {
	for rule := range a {
		if prefix, ok := strings.CutSuffix(rule, "/..."); ok {
			if dep == prefix || strings.HasPrefix(dep, prefix+"/") {
				return rule
			}
		} else if rule == dep {
			return rule
		}
	}
	return ""
}
