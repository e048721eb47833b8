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
		targets, variables := secretTargets(run)
		if len(targets)+len(variables) == 0 {
			return
		}
		mounted = true
		for _, call := range c.calls(in) {
			if file := leaks(call, targets, variables); file != "" {
				c.fail(spot{in: in, observed: call.name + " writes a mounted secret to " + file, expected: "no copy of the secret"})
				return
			}
		}
	})
	if !mounted {
		c.notApplicable("no RUN mounts a secret")
	}
}}

// secretTargets lists the files and the variables in which a RUN finds its
// secrets.
func secretTargets(run *instructions.RunCommand) (files, variables []string) {
	for _, m := range instructions.GetMounts(run) {
		if m == nil || m.Type != instructions.MountTypeSecret {
			continue
		}
		if m.Env != nil && *m.Env != "" {
			variables = append(variables, *m.Env)
		}
		switch {
		case m.Target != "":
			files = append(files, m.Target)
		case m.Env == nil || *m.Env == "":
			files = append(files, "/run/secrets/"+m.CacheID)
		}
	}
	return files, variables
}

// leaks returns the file to which a command writes a secret, or "".
func leaks(c call, targets, variables []string) string {
	if file := c.printed(targets, variables); file != "" {
		return file
	}
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
			if o := c.kept(); o != "" {
				return o
			}
		}
	}
	return ""
}

// kept is a file of a layer to which the output goes, or "".
func (c call) kept() string {
	for _, o := range c.out {
		if !strings.HasPrefix(o, "/dev/") && !strings.HasPrefix(o, "/run/") && !strings.HasPrefix(o, "&") {
			return o
		}
	}
	return ""
}

// printed returns the file to which echo or printf writes a secret that the
// shell puts into its words.
func (c call) printed(targets, variables []string) string {
	if c.name != "echo" && c.name != "printf" {
		return ""
	}
	for _, v := range variables {
		if strings.Contains(c.raw, "$"+v) || strings.Contains(c.raw, "${"+v) {
			return c.kept()
		}
	}
	for _, t := range targets {
		if strings.Contains(c.raw, "$(") && strings.Contains(c.raw, t) {
			return c.kept()
		}
	}
	return ""
}
