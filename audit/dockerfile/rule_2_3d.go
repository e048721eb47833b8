package dockerfile

import (
	"regexp"
	"slices"
	"strings"
	"sync"

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
		if c.foreignDownload(in, s) {
			return
		}
		for _, p := range s.pipes {
			if s.downloadedInto(p) && (isShell(p.to.name) || isInterpreter(p.to.name)) {
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

// maxPipes bounds the pipes of a RUN that are followed upwards.
const maxPipes = 500

// downloadedInto reports whether what a pipe carries was fetched, perhaps by a
// command further up whose output passes through tee.
func (s *script) downloadedInto(p pipe) bool {
	for range maxNesting {
		if downloads(p.from) {
			return true
		}
		if len(s.pipes) > maxPipes || p.from.name != "tee" && p.from.name != "cat" {
			return false
		}
		found := false
		for _, up := range s.pipes {
			if up.to.pos == p.from.pos && up.to.name == p.from.name {
				p, found = up, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return false
}

var (
	powerFetch = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(invoke-webrequest|iwr|invoke-restmethod|irm|start-bitstransfer|downloadfile|downloadstring|bitsadmin|certutil\s+-urlcache|curl(?:\.exe)?|wget)\b[^\n]*\b(?:https?|ftp)://|\bhttps?://[^\n]*\b(?:downloadfile|downloadstring)\b`)
	})
	powerExecute = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\b(iex|invoke-expression)\b`) })
	powerHash    = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)get-filehash|certutil\s+-hashfile|get-authenticodesignature|sha256`)
	})
)

// foreignDownload judges the RUNs of Windows by the names of its download
// commands, since nobody parses them here. It reports whether one is broken.
func (c *check) foreignDownload(in *instr, s *script) bool {
	if s.other != "cmd" && s.other != "powershell" && s.other != "pwsh" {
		return false
	}
	text := in.node.Original
	fetched := powerFetch().FindStringSubmatch(text)
	if fetched == nil {
		return false
	}
	if powerExecute().MatchString(text) {
		c.fail(spot{in: in, severity: audit.Critical, observed: "a download is executed by " + strings.ToLower(powerExecute().FindString(text)), expected: "a file with a known hash"})
		return true
	}
	if powerHash().MatchString(text) {
		return false
	}
	c.fail(spot{in: in, observed: strings.ToLower(fetched[1]) + " fetches a file and nothing in this RUN checks it", expected: "a comparison with Get-FileHash, or ADD --checksum"})
	return true
}

func downloads(c call) bool {
	switch c.name {
	case "curl", "wget", "aria2c":
		return true
	case "rpm":
		return c.url() != ""
	}
	return false
}

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
	if c.has("-I", "--head", "--spider", "-d", "--data", "--data-raw", "--data-binary", "--version", "--help") || c.has("/dev/null") || slices.Equal(c.out, []string{"/dev/null"}) {
		return false
	}
	for i, a := range c.args {
		if (a == "-X" || a == "--request") && i+1 < len(c.args) && c.args[i+1] != "GET" {
			return false
		}
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
			if c.name == "gpgv" || c.has("--verify") {
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
