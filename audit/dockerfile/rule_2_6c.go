package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule26c = rule{audit.Rule{
	ID: "CHG-2.6c", Title: "Nothing becomes world-writable or set-id", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"CIS-DI-0008"},
	Why:      "Whatever everybody may write, an intruder replaces; a set-id program undoes USER.",
	Fix:      "COPY --chown=65532:65532 --chmod=0755, and no chmod 777 or u+s.",
	Evidence: "line and mode",
}, func(c *check) {
	c.held = "no such mode"
	c.each(func(in *instr) {
		if !c.inFinalImage(in) {
			return
		}
		mode := ""
		switch cmd := in.cmd.(type) {
		case *instructions.CopyCommand:
			mode = cmd.Chmod
		case *instructions.AddCommand:
			mode = cmd.Chmod
		}
		if bad := badMode(mode); bad != "" {
			c.fail(spot{in: in, observed: in.name + " --chmod=" + mode + " is " + bad, expected: "a mode like 0755 or 0644"})
		}
		for _, call := range c.calls(in) {
			if call.name == "install" || call.name == "mkdir" {
				if m := call.mode(); badMode(m) != "" && !(badMode(m) == "world-writable" && onlyTmp(call.operands())) {
					c.fail(spot{in: in, observed: call.name + " -m " + m + " is " + badMode(m), expected: "a mode like 0755 or 0644"})
				}
			}
			if call.name != "chmod" {
				continue
			}
			if m, rest := call.sub(); badMode(m) != "" && !(badMode(m) == "world-writable" && onlyTmp(rest)) {
				c.fail(spot{in: in, observed: "chmod " + m + " is " + badMode(m), expected: "a mode like 0755 or 0644"})
			}
		}
	})
}}

// mode is the value of -m or --mode.
func (c call) mode() string {
	for i, a := range c.args {
		if (a == "-m" || a == "--mode") && i+1 < len(c.args) {
			return c.args[i+1]
		}
		for _, flag := range []string{"--mode=", "-m"} {
			if rest, ok := strings.CutPrefix(a, flag); ok && rest != "" && !strings.HasPrefix(a, "-mo") {
				return rest
			}
		}
	}
	return ""
}

func badMode(mode string) string {
	if strings.Contains(mode, "+s") || strings.Contains(mode, "=s") {
		return "set-id"
	}
	for _, part := range strings.Split(mode, ",") {
		for _, op := range []string{"+", "="} {
			// Without a who, + and = leave to the umask what others get.
			if who, what, ok := strings.Cut(part, op); ok && strings.Contains(what, "w") && strings.ContainsAny(who, "oa") {
				return "world-writable"
			}
		}
	}
	if mode == "" || strings.Trim(mode, "01234567") != "" {
		return ""
	}
	if len(mode) == 4 && mode[0] >= '2' && mode[0] <= '7' {
		return "set-id"
	}
	if last := mode[len(mode)-1]; len(mode) >= 3 && (last == '7' || last == '6' || last == '2' || last == '3') && !(len(mode) == 4 && mode[0] == '1') {
		return "world-writable"
	}
	return ""
}

func onlyTmp(paths []string) bool {
	for _, p := range paths {
		if p != "/tmp" && p != "/var/tmp" {
			return false
		}
	}
	return len(paths) > 0
}
