// Package credential recognises secrets: by the name that holds them and by
// their looks. It reports what kind it saw and never the value.
package credential

import (
	"bytes"
	"math"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// words are what a name has as one of its words when it holds a secret. The
// first ten are those of BuildKit's SecretsUsedInArgOrEnv.
var words = set("apikey auth credential credentials key password pword passwd secret token pass pwd passphrase apitoken secretkey")

// harmless words say that the value is about a secret and is not one.
var harmless = set("public file version path dir url uri endpoint host port name id type ttl timeout length size algorithm alg " +
	"enabled disabled mode header prefix source ref fingerprint gpg arn region server provider method realm format expiry policy " +
	"expiration rotation lifetime audience issuer exchange routing partition primary foreign sort cache log")

func set(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// Named reports whether a variable or key of this name holds a secret.
func Named(name string) bool {
	secret := false
	for _, word := range split(name) {
		if harmless[word] {
			return false
		}
		secret = secret || words[word]
	}
	return secret
}

// split returns the words of a name in lower case: API_KEY, apiKey, api-key.
func split(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		upper := 'A' <= r && r <= 'Z'
		switch {
		case r == '_' || r == '-' || r == '.' || r == '/' || r == ':':
			r = ' '
		case upper && lower:
			b.WriteByte(' ')
		}
		lower = 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
		b.WriteRune(r)
	}
	return strings.Fields(strings.ToLower(b.String()))
}

// Harmless reports whether a value cannot be a secret itself: it is empty, a
// reference, a path, a switch, a short number or a placeholder.
func Harmless(value string) bool {
	v := strings.Trim(strings.TrimSpace(value), `"'`)
	switch strings.ToLower(v) {
	case "", "true", "false", "yes", "no", "on", "off", "none", "null", "basic", "bearer", "oauth", "oauth2", "oidc", "jwt", "ldap",
		"saml", "trust", "md5", "scram-sha-256":
		return true
	}
	if strings.HasPrefix(v, "/") || strings.HasPrefix(v, "$") || strings.HasPrefix(v, "{{") || strings.HasPrefix(v, "arn:") ||
		strings.Trim(v, "0123456789") == "" && len(v) < 6 {
		return true
	}
	if u, err := url.Parse(v); err == nil && u.Scheme != "" && (u.Host != "" || u.Path != "" && strings.Contains(v, "://")) {
		_, has := u.User.Password()
		return !has
	}
	return false
}

type pattern struct {
	kind   string
	anchor string // every match contains it
	re     *regexp.Regexp
}

var patterns = sync.OnceValue(func() []pattern {
	list := []struct{ kind, anchor, re string }{
		{"a private key", "PRIVATE KEY-----", `-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=:,\s-]{40,}`},
		{"an AWS access key id", "AKIA", `\bAKIA[A-Z2-7]{16}\b`},
		{"an AWS session key id", "ASIA", `\bASIA[A-Z2-7]{16}\b`},
		{"an AWS secret key", "aws_secret_access_key", `aws_secret_access_key\s*[=:]\s*["']?[A-Za-z0-9/+=]{40}\b`},
		{"a GitHub token", "gh", `\bgh[pousr]_[A-Za-z0-9]{36,}`},
		{"a GitHub token", "github_pat_", `\bgithub_pat_[A-Za-z0-9_]{22,}`},
		{"a GitLab token", "glpat-", `\bglpat-[A-Za-z0-9_-]{20,}`},
		{"a Slack token", "xox", `\bxox[abprs]-[0-9]{6,}-[A-Za-z0-9-]{10,}`},
		{"an npm token", "npm_", `\bnpm_[A-Za-z0-9]{36}\b`},
		{"a Docker token", "dckr_pat_", `\bdckr_pat_[A-Za-z0-9_-]{20,}`},
		{"a Stripe key", "k_live_", `\b[sr]k_live_[A-Za-z0-9]{16,}`},
		{"a Google API key", "AIza", `\bAIza[A-Za-z0-9_-]{35}\b`},
		{"a JSON web token", "eyJ", `\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`},
	}
	out := make([]pattern, len(list))
	for i, l := range list {
		out[i] = pattern{l.kind, l.anchor, regexp.MustCompile(l.re)}
	}
	return out
})

// Found is a secret in a text.
type Found struct {
	Kind   string
	Offset int
}

// maxAround bounds what is matched around an anchor, in bytes.
const maxAround = 4096

// In finds the first secret that is known by its looks. It costs one search
// for each anchor.
func In(data []byte) (Found, bool) {
	for _, p := range patterns() {
		if at, ok := p.in(data); ok {
			return Found{p.kind, at}, true
		}
	}
	return Found{}, false
}

func (p pattern) in(data []byte) (int, bool) {
	anchor := []byte(p.anchor)
	for base, tries := 0, 0; tries < 1000; tries++ {
		i := bytes.Index(data[base:], anchor)
		if i < 0 {
			return 0, false
		}
		at := base + i
		from, to := max(0, at-128), min(len(data), at+maxAround)
		if m := p.re.FindIndex(data[from:to]); m != nil {
			return from + m[0], true
		}
		base = at + len(anchor)
	}
	return 0, false
}

var inURL = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s:/@$"'{}]+:[^\s/@$"'{}<]{3,}@`)
})

// Looks names the secret that a short text such as a variable's value
// contains, or returns "".
func Looks(text string) string {
	if f, ok := In([]byte(text)); ok {
		return f.Kind
	}
	if strings.Contains(text, "://") && inURL().MatchString(text) {
		return "a password in a URL"
	}
	return ""
}

// Entropy is the Shannon entropy of a text in bits a byte.
func Entropy(text string) float64 {
	if text == "" {
		return 0
	}
	var count [256]float64
	for i := range len(text) {
		count[text[i]]++
	}
	sum := 0.0
	for _, n := range count {
		if n > 0 {
			p := n / float64(len(text))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// Of says why a variable holds a secret, or returns "".
func Of(name, value string) string {
	if kind := Looks(value); kind != "" {
		return kind
	}
	if Named(name) && !Harmless(value) {
		return "a secret by the variable's name"
	}
	return ""
}
