package dockerfile

import (
	"fmt"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule25a = rule{audit.Rule{
	ID: "CHG-2.5a", Title: "The image has a HEALTHCHECK", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3057", "CIS-DI-0006", "DS-0026"},
	Why:      "A program that hangs looks alive from outside; a probe makes Docker and Compose replace it. Kubernetes and ECS ignore it and need their own.",
	Fix:      `COPY --from=<probe image>@sha256:... /bin/probe /bin/probe and HEALTHCHECK CMD ["/bin/probe", "http://127.0.0.1:8080/healthz"].`,
	Evidence: "line of the HEALTHCHECK, through the stages of the target",
}, func(c *check) {
	if c.target == nil {
		c.unknown("a stage to build", "")
		return
	}
	if in := c.lastOf("HEALTHCHECK"); in != nil {
		if h := in.cmd.(*instructions.HealthCheckCommand); h.Health != nil && len(h.Health.Test) > 0 && h.Health.Test[0] == "NONE" {
			c.warn(spot{in: in, observed: "HEALTHCHECK NONE", expected: "a probe; a job that ends needs none"})
			return
		}
		c.add(audit.Finding{Verdict: audit.Pass, Locator: c.locate(in.start, in.end), Observed: "HEALTHCHECK on line " + fmt.Sprint(in.start)})
		return
	}
	if base := c.rootBase(c.target); base != "scratch" && parseImage(base).trusted(c.opts.Minimal) {
		c.unknown("the image "+base+", which may bring its probe", "no HEALTHCHECK in the file")
		return
	}
	if c.incomplete() {
		c.unknown("a Dockerfile that can be read whole; see CHG-1.1a", "no HEALTHCHECK")
		return
	}
	c.warn(spot{start: c.target.from.start, end: c.target.from.end, observed: "no HEALTHCHECK in the target stage or its parents", expected: "a HEALTHCHECK in exec form"})
}}

// lastOf returns the last instruction of a name that holds in the target.
func (f *file) lastOf(name string) *instr {
	for _, s := range f.chain() {
		for i := len(s.instrs) - 1; i >= 0; i-- {
			if in := s.instrs[i]; in.name == name && !in.onbuild {
				return in
			}
		}
	}
	return nil
}
