package runtime

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// TLS is how hardstand's probe checks an application that speaks TLS only.
type TLS struct {
	CA         string `json:"ca,omitempty"`         // file in the container with the certificates to trust
	Cert       string `json:"cert,omitempty"`       // file with the client certificate, for mTLS
	Key        string `json:"key,omitempty"`        // file with its private key
	ServerName string `json:"serverName,omitempty"` // to find in the certificate
	Secret     string `json:"secret,omitempty"`     // on Kubernetes, a Secret with ca.crt, tls.crt and tls.key, mounted at SecretDir
}

// SecretDir is where a Secret with certificates is mounted.
const SecretDir = "/etc/tls"

func (t TLS) whole() (TLS, error) {
	if t.Secret != "" {
		if !label().MatchString(t.Secret) {
			return t, fmt.Errorf("secret %q is no DNS label", t.Secret)
		}
		if t.CA == "" {
			t.CA = SecretDir + "/ca.crt"
		}
		if t.Cert == "" && t.Key == "" {
			t.Cert, t.Key = SecretDir+"/tls.crt", SecretDir+"/tls.key"
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		return t, errors.New("a client certificate and its key come together: give both, or neither")
	}
	return t, nil
}

// applied turns the probe's targets into those over TLS and adds its flags.
// Arguments are the probe's, as of docs/probe.md; another program's are not
// known.
func (t TLS) applied(check []string, port int) ([]string, error) {
	if t == (TLS{}) {
		return check, nil
	}
	t, err := t.whole()
	if err != nil {
		return nil, err
	}
	if path.Base(check[0]) != "probe" {
		return nil, fmt.Errorf("the health check is %s, and only the arguments of hardstand's probe are known: give the whole check instead", check[0])
	}
	flags := []string{check[0]}
	for _, f := range [][2]string{{"--ca-file", t.CA}, {"--cert-file", t.Cert}, {"--key-file", t.Key}, {"--server-name", t.ServerName}} {
		if f[1] != "" && !slices.Contains(check, f[0]) {
			flags = append(flags, f[0], f[1])
		}
	}
	targets := 0
	rest := slices.Clone(check[1:])
	for i := 0; i < len(rest); i++ {
		if strings.HasPrefix(rest[i], "-") {
			if !bare[rest[i]] {
				i++ // its value
			}
			continue
		}
		targets++
		rest[i] = secured(rest[i], port)
	}
	if targets == 0 {
		rest = append(rest, secured("/", port))
	}
	return append(flags, rest...), nil
}

// bare are the probe's flags without a value.
var bare = map[string]bool{"-v": true, "--json": true, "--insecure": true, "--help": true, "--version": true}

// secured is a target of the probe over TLS.
func secured(target string, port int) string {
	for plain, over := range map[string]string{"http": "https", "grpc": "grpcs", "tcp": "tls", "http+unix": "https+unix", "grpc+unix": "grpcs+unix"} {
		if rest, ok := strings.CutPrefix(target, plain+"://"); ok {
			return over + "://" + rest
		}
	}
	if strings.Contains(target, "://") {
		return target // it is over TLS, or cannot be
	}
	at := "${PORT:-8080}"
	if port != 0 {
		at = fmt.Sprint(port)
	}
	switch {
	case strings.HasPrefix(target, "/"):
		return "https://localhost:" + at + target
	case strings.HasPrefix(target, ":"):
		return "https://localhost" + target
	case strings.Trim(target, "0123456789") == "":
		return "https://localhost:" + target + "/"
	}
	return "https://" + target // HOST:PORT/PATH
}
