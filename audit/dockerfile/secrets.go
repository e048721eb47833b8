package dockerfile

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// secretWords are what a name has as one of its words when it holds a secret.
// The list and the exceptions are those of BuildKit's SecretsUsedInArgOrEnv.
var secretWords = map[string]bool{
	"apikey": true, "auth": true, "credential": true, "credentials": true, "key": true, "password": true,
	"pword": true, "passwd": true, "secret": true, "token": true,
}

// harmlessWords make a name harmless again. The first three are BuildKit's,
// the others say that the value is about a secret and not one.
var harmlessWords = map[string]bool{
	"public": true, "file": true, "version": true,
	"path": true, "dir": true, "url": true, "uri": true, "endpoint": true, "host": true, "port": true, "name": true, "id": true,
	"type": true, "ttl": true, "timeout": true, "length": true, "size": true, "algorithm": true, "alg": true, "enabled": true,
	"disabled": true, "mode": true, "header": true, "prefix": true, "source": true, "ref": true, "fingerprint": true, "gpg": true,
	"sha": true, "sha1": true, "sha256": true, "sha512": true, "md5": true, "checksum": true, "hash": true, "keyserver": true, "empty": true,
	"arn": true, "region": true, "server": true, "provider": true, "method": true, "realm": true, "format": true, "expiry": true,
}

// secretName reports whether a variable of this name holds a secret, and
// whether only our own exceptions say that it does not.
func secretName(name string) bool {
	secret := false
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '_' || r == '-' || r == '.' }) {
		if harmlessWords[word] {
			return false
		}
		secret = secret || secretWords[word]
	}
	return secret
}

// harmlessValue reports whether a value cannot be the secret itself: it is
// empty, a reference, a path, a switch or a number.
func harmlessValue(value string) bool {
	v := strings.Trim(strings.TrimSpace(value), `"'`)
	switch strings.ToLower(v) {
	case "", "true", "false", "yes", "no", "on", "off", "none", "null", "basic", "bearer", "oauth", "oauth2", "oidc", "jwt", "ldap", "saml", "trust", "md5", "scram-sha-256":
		return true
	}
	if strings.HasPrefix(v, "/") || strings.HasPrefix(v, "$") || strings.Trim(v, "0123456789") == "" && len(v) < 6 {
		return true
	}
	if u, err := url.Parse(v); err == nil && u.Scheme != "" && u.Host != "" {
		_, has := u.User.Password()
		return !has
	}
	return false
}

// pattern is the shape of a secret that is known by its looks.
type pattern struct {
	name string
	re   *regexp.Regexp
}

var patterns = sync.OnceValue(func() []pattern {
	list := []struct{ name, re string }{
		{"an AWS access key id", `\b(?:AKIA|ASIA)[A-Z2-7]{16}\b`},
		{"a GitHub token", `\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})`},
		{"a GitLab token", `\bglpat-[A-Za-z0-9_-]{20,}`},
		{"a Slack token", `\bxox[abprs]-[A-Za-z0-9-]{10,}`},
		{"an npm token", `\bnpm_[A-Za-z0-9]{36}\b`},
		{"a Docker token", `\bdckr_pat_[A-Za-z0-9_-]{20,}`},
		{"a Stripe key", `\b[sr]k_live_[A-Za-z0-9]{16,}`},
		{"a Google API key", `\bAIza[A-Za-z0-9_-]{35}`},
		{"a JSON web token", `\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`},
		{"a private key", `-----BEGIN [A-Z ]*PRIVATE KEY-----`},
		{"a password in a URL", `[a-z][a-z0-9+.-]*://[^\s:/@$"'{}]+:[^\s/@$"'{}<]{3,}@`},
	}
	out := make([]pattern, len(list))
	for i, l := range list {
		out[i] = pattern{l.name, regexp.MustCompile(l.re)}
	}
	return out
})

// looksSecret names the secret that a text contains, or returns "".
func looksSecret(text string) string {
	// Every pattern needs one of these; most lines have none.
	if !strings.ContainsAny(text, "_-:") && !strings.Contains(text, "A") {
		return ""
	}
	for _, p := range patterns() {
		if p.re.MatchString(text) {
			return p.name
		}
	}
	return ""
}

// A pair in a line: joined by = or :, or in the old form of ENV and LABEL by a space.
var (
	joinedPair = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)(=|:\s*)("[^"]*"?|'[^']*'?|[^\s"']+)`)
	})
	oldForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^((?:onbuild\s+)?(?:env|label)\s+)([A-Za-z_][A-Za-z0-9_.-]*)(\s+)(.+)$`)
	})
)

// redact hides the values of secrets in a line.
func redact(line string) string {
	for _, p := range patterns() {
		line = p.re.ReplaceAllString(line, "[redacted]")
	}
	if strings.Contains(line, " -") {
		line = userOption().ReplaceAllString(line, "${1}[redacted]")
		line = passOption().ReplaceAllString(line, "${1}[redacted]")
	}
	if !mentionsSecret(line) {
		return line
	}
	if m := oldForm().FindStringSubmatch(line); m != nil && looseSecretName(m[2]) {
		return m[1] + m[2] + m[3] + "[redacted]"
	}
	hide := func(re *regexp.Regexp, line string) string {
		return re.ReplaceAllStringFunc(line, func(m string) string {
			parts := re.FindStringSubmatch(m)
			value := strings.TrimLeft(parts[3], "\"'")
			if !looseSecretName(parts[1]) || strings.HasPrefix(value, "$") {
				return m
			}
			return parts[1] + parts[2] + "[redacted]"
		})
	}
	line = hide(joinedPair(), line)
	// "--password x" and "-u name:x".
	if strings.Contains(line, "-") {
		line = hide(flagPair(), line)
	}
	return line
}

// userOption is curl's "-u name:password", passOption the -p of sshpass and of
// docker login.
var (
	userOption = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(\s(?:-u|--user)(?:\s+|=)["']?[^\s:"'$]*:)[^\s$"']+`)
	})
	passOption = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`((?:sshpass|login)\s(?:.*\s)?-p\s*)[^\s$]+`)
	})
)

var flagPair = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(--?[A-Za-z][A-Za-z0-9-]*)(\s+)("[^"]*"?|'[^']*'?|[^\s"'-][^\s"']*)`)
})

func mentionsSecret(line string) bool {
	line = strings.ToLower(line)
	for word := range secretWords {
		if strings.Contains(line, word) {
			return true
		}
	}
	return strings.Contains(line, "pass")
}

// looseSecretName errs on the side of hiding.
func looseSecretName(name string) bool {
	lower := strings.ToLower(name)
	for word := range secretWords {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return strings.Contains(lower, "pass")
}
