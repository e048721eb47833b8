package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule28f = rule{audit.Rule{
	ID: "CHG-2.8f", Title: "Mounted secrets are not written to a layer", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "A secret mount keeps the value out of the image only until a command copies it to a file or echoes it.",
	Fix:      "Let the program read /run/secrets/<id> or the mount's target itself.",
	Evidence: "line and the file written",
}, func(c *check) {
	c.held = "no RUN writes a mounted secret to a file"
	mounted := false
	c.each(func(in *instr) {
		run, ok := in.cmd.(*instructions.RunCommand)
		if !ok {
			return
		}
		targets := secretTargets(run)
		if len(targets) == 0 {
			return
		}
		mounted = true
		for _, call := range c.calls(in) {
			if file := leaks(call, targets); file != "" {
				c.fail(spot{in: in, observed: call.name + " writes a mounted secret to " + file, expected: "no copy of the secret"})
				return
			}
		}
	})
	if !mounted {
		c.notApplicable("no RUN mounts a secret")
	}
}}

func secretTargets(run *instructions.RunCommand) []string {
	var list []string
	for _, m := range instructions.GetMounts(run) {
		if m == nil || m.Type != instructions.MountTypeSecret {
			continue
		}
		target := m.Target
		if target == "" {
			target = "/run/secrets/" + m.CacheID
		}
		list = append(list, target)
	}
	return list
}

// leaks returns the file to which a command writes a secret, or "".
func leaks(c call, targets []string) string {
	for _, t := range targets {
		if !c.has(t) {
			continue
		}
		switch c.name {
		case "cp", "install", "mv":
			if last := c.args[len(c.args)-1]; last != t && !strings.HasPrefix(last, "/dev/") && !strings.HasPrefix(last, "/run/") {
				return last
			}
		case "cat", "tee", "base64":
			for _, o := range c.out {
				if !strings.HasPrefix(o, "/dev/") && !strings.HasPrefix(o, "/run/") {
					return o
				}
			}
		}
	}
	return ""
}
