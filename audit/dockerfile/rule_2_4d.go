package dockerfile

import (
	"path"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule24d = rule{audit.Rule{
	ID: "CHG-2.4d", Title: "No instruction copies credentials", Severity: audit.Critical, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"CIS-DI-0010"},
	Why:      "A credential in a layer can be read by everybody who can pull the image, also when a later layer deletes it.",
	Fix:      "RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci keeps it out of every layer.",
	Evidence: "line and source",
}, func(c *check) {
	c.held = "no source has the name of a credential"
	c.each(func(in *instr) {
		for _, src := range localSources(in) {
			p := c.expand(src, environment(in.stage.env))
			what := valuableGlob(path.Base(p))
			if what == "" {
				for _, part := range strings.Split(strings.Trim(p, "/"), "/") {
					if what == "" {
						what = valuableDir(part)
					}
				}
			}
			switch {
			case what == "" || publicCertificate(p):
			case path.Base(p) == ".npmrc" || strings.HasSuffix(p, ".pem"):
				c.warn(spot{in: in, severity: audit.High, observed: in.name + " " + src + ": " + what + " by its name", expected: "a secret mount, if it holds a secret"})
			default:
				c.fail(spot{in: in, observed: in.name + " " + src + ": " + what, expected: "a secret mount"})
			}
		}
	})
}}

// valuableGlob is valuableFile for a name that may end in a pattern: .env*
// takes .env, and id_* takes id_rsa.
func valuableGlob(name string) string {
	if what := valuableFile(name); what != "" || !strings.ContainsAny(name, "*?[") {
		return what
	}
	for _, known := range []string{".env", ".env.production", "id_rsa", "id_ed25519", ".npmrc", ".netrc", ".git-credentials", "credentials.json", "terraform.tfstate"} {
		if ok, err := path.Match(name, known); err == nil && ok && strings.Trim(name, "*?.") != "" {
			return valuableFile(known)
		}
	}
	return ""
}

// publicCertificate reports whether a name says that the file holds
// certificates and no keys.
func publicCertificate(p string) bool {
	base := strings.ToLower(path.Base(p))
	return strings.Contains(base, "ca-") || strings.Contains(base, "ca.") || strings.Contains(base, "cert") || strings.Contains(base, "bundle") || strings.Contains(base, "chain") || strings.Contains(base, "public")
}
