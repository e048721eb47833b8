package api

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"regexp"
	"strings"

	"github.com/hardstand/hardstand/canary/collector/store"
)

func write(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a peer that is gone needs no answer
}

func encodeJSON(v any) string {
	text, _ := json.Marshal(v) // strings and maps of them
	return string(text)
}

func xmlAnswer(w http.ResponseWriter, status int, body string) { write(w, status, "text/xml", body) }

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

// token keeps letters, digits and hyphens.
func token(s string) string { return notToken.ReplaceAllString(s, "") }

var notToken = regexp.MustCompile(`[^a-zA-Z0-9-]`)

func refuseVault(w http.ResponseWriter, _ call, _ use) {
	w.Header().Set("Cache-Control", "no-store")
	write(w, http.StatusForbidden, "application/json", `{"errors":["permission denied"]}`+"\n")
}

func isRegistry(c call) bool { return c.URL.Path == "/v2" || strings.HasPrefix(c.URL.Path, "/v2/") }

// refuseRegistry lets the holder of the password sign in, as registries do for
// accounts without rights, and denies every repository.
func refuseRegistry(w http.ResponseWriter, c call, u use) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	switch {
	case u.proof != store.ProofSecret:
		w.Header().Set("WWW-Authenticate", `Basic realm="Registry Realm"`)
		write(w, http.StatusUnauthorized, "application/json; charset=utf-8", `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}`+"\n")
	case strings.Trim(c.URL.Path, "/") == "v2":
		write(w, http.StatusOK, "application/json; charset=utf-8", "{}")
	default:
		write(w, http.StatusForbidden, "application/json; charset=utf-8", `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied","detail":null}]}`+"\n")
	}
}

func isNPM(c call) bool {
	return strings.Contains(c.URL.Path, "/npm/") || c.Header.Get("Npm-Command") != ""
}

func refuseNPM(w http.ResponseWriter, _ call, u use) {
	if u.entry == nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="npm"`)
		write(w, http.StatusUnauthorized, "application/json", `{"error":"authentication required"}`)
		return
	}
	write(w, http.StatusForbidden, "application/json", `{"error":"user is not permitted to access this resource"}`)
}

func isGit(c call) bool {
	return strings.Contains(c.URL.Path, "/info/refs") || strings.HasSuffix(c.URL.Path, "/git-upload-pack") ||
		strings.HasSuffix(c.URL.Path, "/git-receive-pack") || strings.HasPrefix(c.UserAgent(), "git/")
}

func refuseGit(w http.ResponseWriter, _ call, u use) {
	if u.entry == nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		write(w, http.StatusUnauthorized, "text/plain; charset=utf-8", "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you're required to use a token instead of a password.\n")
		return
	}
	write(w, http.StatusForbidden, "text/plain; charset=utf-8", "You are not allowed to download code from this project.\n")
}

var kubernetesPaths = []string{"/api", "/apis", "/version", "/openapi", "/healthz", "/livez", "/readyz"}

func isKubernetes(c call) bool {
	if c.TLS != nil && len(c.TLS.PeerCertificates) > 0 {
		return true
	}
	for _, p := range kubernetesPaths {
		if c.URL.Path == p || strings.HasPrefix(c.URL.Path, p+"/") {
			return true
		}
	}
	return false
}

// refuseKubernetes allows what every signed-in user may do, discovery, and
// forbids the rest.
func refuseKubernetes(w http.ResponseWriter, c call, u use) {
	const kind = "application/json"
	switch {
	case c.URL.Path == "/version":
		write(w, http.StatusOK, kind, `{"major":"1","minor":"33","gitVersion":"v1.33.5","gitTreeState":"clean","goVersion":"go1.24.6","compiler":"gc","platform":"linux/amd64"}`)
	case u.entry == nil:
		write(w, http.StatusUnauthorized, kind, status(401, "Unauthorized", "Unauthorized"))
	case c.URL.Path == "/api":
		write(w, http.StatusOK, kind, `{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":`+encodeJSON(c.Host)+`}]}`)
	case c.URL.Path == "/apis":
		write(w, http.StatusOK, kind, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
	case c.URL.Path == "/api/v1":
		write(w, http.StatusOK, kind, `{"kind":"APIResourceList","groupVersion":"v1","resources":[`+
			resource("namespaces", "Namespace", false)+","+resource("nodes", "Node", false)+","+resource("pods", "Pod", true)+","+
			resource("secrets", "Secret", true)+","+resource("configmaps", "ConfigMap", true)+","+resource("services", "Service", true)+`]}`)
	default:
		verb, what := "get", c.URL.Path
		if parts := strings.Split(strings.Trim(c.URL.Path, "/"), "/"); len(parts) > 2 && c.Method == http.MethodGet {
			verb, what = "list", parts[len(parts)-1]
		}
		write(w, http.StatusForbidden, kind, status(403, "Forbidden", what+` is forbidden: User "deployer-`+u.entry.ID+`" cannot `+verb+` resource "`+what+`" in API group "" at the cluster scope`))
	}
}

func status(code int, reason, message string) string {
	return encodeJSON(struct {
		Kind     string   `json:"kind"`
		Version  string   `json:"apiVersion"`
		Metadata struct{} `json:"metadata"`
		Status   string   `json:"status"`
		Message  string   `json:"message"`
		Reason   string   `json:"reason"`
		Code     int      `json:"code"`
	}{"Status", "v1", struct{}{}, "Failure", message, reason, code})
}

func resource(name, kind string, namespaced bool) string {
	return encodeJSON(map[string]any{"name": name, "singularName": strings.ToLower(kind), "namespaced": namespaced, "kind": kind, "verbs": []string{"get", "list"}})
}

func refusePlain(w http.ResponseWriter, _ call, u use) {
	if u.entry == nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="Restricted"`)
		write(w, http.StatusUnauthorized, "text/plain; charset=utf-8", "Unauthorized\n")
		return
	}
	write(w, http.StatusForbidden, "text/plain; charset=utf-8", "Forbidden\n")
}
