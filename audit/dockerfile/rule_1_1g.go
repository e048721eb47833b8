package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11g = rule{audit.Rule{
	ID: "CHG-1.1g", Title: "WORKDIR is an absolute path", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"WorkdirRelativePath", "DL3000", "DS-0009"},
	Why:      "A relative path depends on what the base image happens to have as its working directory.",
	Fix:      "Write WORKDIR /app.",
	Evidence: "line and path",
}, func(c *check) {
	c.held = "every WORKDIR is absolute or below one that is"
	absolute := map[*stage]bool{}
	for _, s := range c.stages {
		absolute[s] = s.parent != nil && absolute[s.parent] || s.base == "scratch"
		for _, in := range s.instrs {
			w, ok := in.cmd.(*instructions.WorkdirCommand)
			if !ok || in.onbuild {
				continue
			}
			p := c.expand(w.Path, environment(s.env))
			windows := len(p) > 1 && p[1] == ':'
			if strings.HasPrefix(p, "/") || strings.HasPrefix(p, `\`) || windows || strings.HasPrefix(p, "$") {
				absolute[s] = true
			} else if !absolute[s] && s.reachable {
				c.warn(spot{in: in, observed: "WORKDIR " + w.Path, expected: "WORKDIR /" + w.Path})
			}
		}
	}
}}
