package image

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hardstand/hardstand/audit"
)

var rule25i = rule{audit.Rule{
	ID: "CHG-2.5i", Title: "HEALTHCHECK runs a probe that the image has, without a shell", Severity: audit.Medium, Since: 1,
	Kinds: []audit.Kind{audit.Image}, Aliases: []string{"CIS-DI-0006", "DS-0026"},
	Why:      "A check through a shell or a download tool keeps that tool in the image for intruders.",
	Fix:      `Copy the probe and write HEALTHCHECK CMD ["/bin/probe", "http://127.0.0.1:8080/healthz"].`,
	Evidence: "the check's arguments, and digest and kind of the file they start",
}, func(c *check) {
	c.method = "healthcheck of the configuration; its program looked up in the final file system"
	at, expected := configAt("/config/Healthcheck"), "exec form of a static program of the image that is neither shell nor download tool"
	broken := func(observed string) {
		c.add(audit.Finding{Verdict: audit.Fail, Locator: at, Observed: shorten(observed), Expected: expected})
	}
	h := c.config.Config.Healthcheck
	if h == nil || len(h.Test) == 0 {
		if len(c.config.Config.Entrypoint)+len(c.config.Config.Cmd) == 0 {
			c.notApplicable("a base image without a program of its own to check")
			return
		}
		c.add(audit.Finding{Verdict: audit.Warn, Locator: configAt("/config"), Observed: "no HEALTHCHECK", Expected: expected})
		return
	}
	switch {
	case h.Test[0] == "NONE":
		broken("HEALTHCHECK NONE")
	case h.Test[0] == "CMD-SHELL":
		broken("shell form: " + redact(fmt.Sprint(h.Test[1:])))
	case h.Test[0] != "CMD" || len(h.Test) < 2:
		broken(fmt.Sprintf("it cannot be run: %q", h.Test))
	default:
		c.probe(h.Test[1], broken)
		if port := askedPort(h.Test[1:]); port != "" && !c.exposed(port) {
			c.add(audit.Finding{Verdict: audit.Warn, Locator: at, Observed: "it asks port " + port + ", which EXPOSE does not name", Expected: "the port that the application listens on"})
		}
	}
}}

// target is a port, or an address with one, as probes take it.
var target = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[a-z0-9+.-]+://)?(?:localhost|127\.0\.0\.1|\[::1\]|\[?[0-9a-f:]*\]?)?:([0-9]{1,5})(?:[/?].*)?$|^([0-9]{2,5})$`)
})

// askedPort is the port of this machine that a check asks, or "" where its
// arguments name none or several.
func askedPort(argv []string) string {
	port := ""
	for i, a := range argv[1:] {
		m := target().FindStringSubmatch(a)
		if m == nil || strings.HasPrefix(argv[i], "-") && m[2] != "" {
			continue // a number behind a flag is its value
		}
		if port != "" {
			return ""
		}
		port = cmp.Or(m[1], m[2])
	}
	return port
}

// exposed reports whether EXPOSE names a port, or nothing at all.
func (s *subject) exposed(port string) bool {
	if len(s.config.Config.ExposedPorts) == 0 {
		return true
	}
	for p := range s.config.Config.ExposedPorts {
		if number, _, _ := strings.Cut(p, "/"); number == port {
			return true
		}
	}
	return false
}

func (c *check) probe(program string, broken func(string)) {
	name := path.Base(program)
	e := c.program(program)
	switch {
	case e == nil:
		broken(program + " is not in the image")
	case toolKind(name) != "" && !c.decoy(e):
		broken(program + " is " + toolKind(name))
	case toolKind(path.Base(e.path)) != "":
		broken(program + " leads to /" + e.path + ", " + toolKind(path.Base(e.path)))
	case e.mode&0o111 == 0:
		broken(program + " may not be executed")
	case e.script != "":
		broken(program + " is a script for " + e.script)
	case e.isELF && e.elf != nil && e.elf.Interp != "":
		c.add(audit.Finding{Verdict: audit.Warn, Locator: c.at(e), Observed: program + " is linked dynamically", Expected: "a static program"})
	default:
		c.add(audit.Finding{Verdict: audit.Pass, Locator: c.at(e), Observed: program + ", sha256:" + e.sha256})
	}
}

// program finds what exec would run: a path, or a name along PATH.
func (s *subject) program(name string) *entry {
	if path.Base(name) != name {
		return s.find(inDir(s.config.Config.WorkingDir, name))
	}
	for _, dir := range slices.Concat(splitPath(s.environment()["PATH"]), []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}) {
		if e := s.find(path.Join(dir, name)); e != nil {
			return e
		}
	}
	return nil
}
