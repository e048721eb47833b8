package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule23d = rule{audit.Rule{
	ID: "CHG-2.3d", Title: "Downloads are checked against a known hash", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "What a server sends today is not what was reviewed; a script piped into a shell is not even kept.",
	Fix:      "ADD --checksum=sha256:... URL, or in the same RUN: curl -fsSLo f URL && echo 'HASH  f' | sha256sum -c -.",
	Evidence: "line and the download",
}, func(c *check) {
	c.held = "every download in a RUN is verified in that RUN"
	c.each(func(in *instr) {
		s := c.script(in)
		for _, p := range s.pipes {
			if downloads(p.from) && (isShell(p.to.name) || isInterpreter(p.to.name)) {
				c.fail(spot{in: in, severity: audit.Critical, observed: p.from.name + " | " + p.to.name + ": a download is executed", expected: "a file with a known hash"})
				return
			}
		}
		if s.verified() {
			return
		}
		for _, call := range s.calls {
			if downloads(call) && call.fetchesFile() {
				c.fail(spot{in: in, observed: call.name + " fetches " + redact(call.url()) + " and nothing in this RUN checks it", expected: "sha256sum -c, a signature check, or ADD --checksum"})
				return
			}
		}
	})
}}

func downloads(c call) bool { return c.name == "curl" || c.name == "wget" || c.name == "aria2c" }

func isInterpreter(name string) bool {
	switch name {
	case "python", "python3", "perl", "ruby", "node", "php":
		return true
	}
	return false
}

// url returns the first argument that is a URL, or "".
func (c call) url() string {
	for _, a := range c.args {
		if strings.Contains(a, "://") {
			return a
		}
	}
	return ""
}

// fetchesFile leaves out probes and requests whose answer is thrown away.
func (c call) fetchesFile() bool {
	u := c.url()
	if strings.Contains(u, "://localhost") || strings.Contains(u, "://127.0.0.1") {
		return false
	}
	if c.has("-I", "--head", "--spider", "-X", "--request", "-d", "--data", "--version", "--help") || c.has("/dev/null") {
		return false
	}
	return u != "" || len(c.operands()) > 0
}

// verified reports whether a script checks a hash or a signature.
func (s *script) verified() bool {
	for _, c := range s.calls {
		switch c.name {
		case "sha256sum", "sha512sum", "sha384sum", "sha1sum", "shasum", "b2sum", "b3sum":
			if c.has("-c", "--check", "-sc", "-cs", "-cw", "-wc", "--strict") || c.joined("-c") {
				return true
			}
		case "gpg", "gpgv", "gpg2":
			if c.name == "gpgv" || c.has("--verify") || c.has("--dearmor") {
				return true
			}
		case "cosign", "minisign", "signify", "slsa-verifier", "gh":
			if c.joined("verify") || c.name == "minisign" || c.name == "signify" {
				return true
			}
		case "openssl":
			if c.has("-verify") || c.has("-signature") {
				return true
			}
		case "[", "[[", "test":
			if strings.Contains(strings.Join(c.args, " "), "sha256") || strings.Contains(s.text, "sha256sum") {
				return true
			}
		}
	}
	return false
}
