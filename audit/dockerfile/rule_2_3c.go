package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule23c = rule{audit.Rule{
	ID: "CHG-2.3c", Title: "Packages of languages are pinned", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3013", "DL3016", "DL3028", "DL3062"},
	Why:      "A package registry's newest version may be minutes old and hostile; a lock file with hashes is what was tested.",
	Fix:      "npm ci, pip install --require-hashes -r requirements.txt, gem install name:1.2.3, go install module@v1.2.3, cargo install --locked --version 1.2.3.",
	Evidence: "line and the packages without a version",
}, func(c *check) {
	c.held = "every package has a version or a lock file"
	c.each(func(in *instr) {
		for _, call := range c.calls(in) {
			if alias, seen, want := unpinnedLanguage(call); seen != "" {
				c.fail(spot{in: in, alias: alias, observed: seen, expected: want})
				return
			}
		}
	})
}}

func unpinnedLanguage(c call) (alias, seen, want string) {
	sub, ops := c.sub()
	if (c.name == "python" || c.name == "python3") && c.has("-m") && c.has("pip") {
		for i, a := range c.args {
			if a == "pip" {
				return unpinnedLanguage(call{name: "pip", args: c.args[i+1:]})
			}
		}
	}
	switch c.name {
	case "npm":
		return unpinnedNPM(c, sub, ops)
	case "pip", "pip3":
		return unpinnedPip(c, sub)
	case "gem":
		if sub == "install" && !c.has("-v", "--version", "-g", "--file") && !c.joined("--version=") {
			if loose := without(ops, ":", ".gem", "/", "$"); len(loose) > 0 {
				return "DL3028", "gem install " + list(loose), "gem install name:version"
			}
		}
	case "go":
		if sub == "install" || sub == "get" {
			for _, m := range ops {
				if strings.HasSuffix(m, "@latest") || strings.HasSuffix(m, "@master") || strings.HasSuffix(m, "@main") || (strings.Contains(m, ".") && strings.Contains(m, "/") && !strings.HasPrefix(m, ".") && !strings.Contains(m, "@")) && sub == "get" {
					return "DL3062", "go " + sub + " " + m, "a version: " + strings.Split(m, "@")[0] + "@v1.2.3"
				}
			}
		}
	case "cargo":
		if sub == "install" && !c.has("--locked", "--path", "--version", "--rev") && !c.joined("--path=") && !c.joined("--version=") {
			if loose := without(ops, "@", "$"); len(loose) > 0 {
				return "", "cargo install " + list(loose), "--locked --version 1.2.3"
			}
		}
	}
	return "", "", ""
}

func unpinnedNPM(c call, sub string, ops []string) (alias, seen, want string) {
	if sub != "install" && sub != "i" && sub != "add" {
		return "", "", ""
	}
	names := without(ops, "$")
	if len(names) == 0 {
		if c.has("-g", "--global") || c.has("--package-lock-only") {
			return "", "", ""
		}
		return "DL3016", "npm " + sub, "npm ci, which installs what the lock file says"
	}
	var loose []string
	for _, n := range names {
		bare := strings.TrimPrefix(n, "@")
		_, version, ok := strings.Cut(bare, "@")
		local := strings.HasPrefix(n, ".") || strings.HasPrefix(n, "/") || strings.HasSuffix(n, ".tgz")
		if !local && (!ok || version == "latest" || strings.HasPrefix(version, "^") || strings.HasPrefix(version, "~")) {
			loose = append(loose, n)
		}
	}
	if len(loose) == 0 {
		return "", "", ""
	}
	return "DL3016", "npm " + sub + " " + list(loose), "name@1.2.3"
}

func unpinnedPip(c call, sub string) (alias, seen, want string) {
	if sub != "install" || c.has("--require-hashes") {
		return "", "", ""
	}
	var loose []string
	for _, p := range withoutFlagValues(c.args, "-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-t", "--target", "--prefix", "--root", "-f", "--find-links", "-e", "--editable", "--timeout", "--trusted-host", "--cache-dir", "--platform", "--python-version")[1:] {
		local := strings.HasPrefix(p, ".") || strings.HasPrefix(p, "/") || strings.HasSuffix(p, ".whl") || strings.HasSuffix(p, ".tar.gz") || strings.HasPrefix(p, "$")
		pinned := strings.Contains(p, "==") || strings.Contains(p, "@") || strings.Contains(p, "===")
		if p != "" && !local && !pinned {
			loose = append(loose, p)
		}
	}
	if len(loose) == 0 || c.has("-c", "--constraint") {
		return "", "", ""
	}
	return "DL3013", "pip install " + list(loose), "name==1.2.3, or --require-hashes -r requirements.txt"
}

// without leaves out the words that contain one of the parts.
func without(words []string, parts ...string) []string {
	var out []string
next:
	for _, w := range words {
		for _, p := range parts {
			if strings.Contains(w, p) {
				continue next
			}
		}
		out = append(out, w)
	}
	return out
}
