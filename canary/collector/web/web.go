// Package web is the collector's dashboard: pages rendered on the server that
// work without JavaScript, and follow what happens where it is allowed to run.
//
// It reads and changes a store, and holds nothing itself but what slows down
// guessing. All text that came with an alarm is the intruder's: it is escaped,
// and what would be invisible or turn the direction of writing is named.
package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// Options of a dashboard. Store and BaseURL are required, and one of AdminHash
// and OIDC.
type Options struct {
	Store   store.Store
	BaseURL string // as people's browsers see it: https://alarms.example.com

	AdminHash string // of the local token, from HashToken; empty: no local sign-in
	OIDC      *OIDC  // nil: no sign-in elsewhere

	// Source returns the peer's address for the limit on sign-ins; the
	// connection's where nil.
	Source func(*http.Request) string
	// Lifetime of a session; 12 hours where 0.
	Lifetime time.Duration
	Version  string
	Now      func() time.Time // time.Now where nil
	Log      *slog.Logger     // nil: nothing is logged
}

// Dashboard serves the pages.
type Dashboard struct {
	Options
	base     *url.URL
	secure   bool // cookies travel over HTTPS only
	pages    map[string]*template.Template
	attempts *attempts
	provider *provider // nil without OIDC
	streams  *streams
	handler  http.Handler
}

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// New checks the options and reads the templates. It does not talk to the
// OIDC issuer yet.
func New(o Options) (*Dashboard, error) {
	base, err := url.Parse(strings.TrimSuffix(o.BaseURL, "/"))
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.Path != "" {
		return nil, fmt.Errorf("open dashboard: base URL %q is not of the form https://HOST", o.BaseURL)
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, fmt.Errorf("open dashboard: %s is not https; sessions would be readable on the way. Use https, also behind a proxy that ends TLS", o.BaseURL)
	}
	if o.Store == nil || o.AdminHash == "" && o.OIDC == nil {
		return nil, errors.New("open dashboard: nobody could sign in; configure an admin token or OIDC")
	}
	if o.AdminHash != "" && !plainHash.MatchString(o.AdminHash) {
		return nil, errors.New("open dashboard: the admin token's hash is not sha256: and 64 hexadecimal digits")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lifetime == 0 {
		o.Lifetime = 12 * time.Hour
	}
	d := &Dashboard{Options: o, base: base, secure: base.Scheme == "https", attempts: newAttempts(), streams: newStreams()}
	if o.OIDC != nil {
		if d.provider, err = newProvider(*o.OIDC, base); err != nil {
			return nil, fmt.Errorf("open dashboard: %w", err)
		}
	}
	if d.pages, err = parsePages(d); err != nil {
		return nil, fmt.Errorf("open dashboard: %w", err)
	}
	d.handler = d.routes()
	return d, nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

func parsePages(d *Dashboard) (map[string]*template.Template, error) {
	layout, err := template.New("layout").Funcs(d.functions()).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "templates/"), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, err
		}
		pages[name] = page
	}
	return pages, nil
}

// ServeHTTP serves a page.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

func (d *Dashboard) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/", d.static())
	mux.HandleFunc("GET /signin", d.getSignIn)
	mux.HandleFunc("POST /signin", d.postSignIn)
	mux.HandleFunc("GET /signin/oidc", d.startOIDC)
	mux.HandleFunc("GET /signin/callback", d.finishOIDC)
	mux.HandleFunc("POST /signout", d.change(store.Viewer, d.postSignOut))

	mux.HandleFunc("GET /{$}", d.page(d.getNow))
	mux.HandleFunc("GET /timeline", d.page(d.getTimeline))
	mux.HandleFunc("GET /incidents/{id}", d.page(d.getIncident))
	mux.HandleFunc("GET /canaries", d.page(d.getCanaries))
	mux.HandleFunc("GET /quiet", d.page(d.getQuiet))
	mux.HandleFunc("GET /sinks", d.page(d.getSinks))
	mux.HandleFunc("GET /audit", d.page(d.getAudit))
	mux.HandleFunc("GET /events", d.getEvents)

	mux.HandleFunc("POST /incidents/{id}/acknowledge", d.change(store.Responder, d.postAcknowledge))
	mux.HandleFunc("POST /incidents/{id}/assign", d.change(store.Responder, d.postAssign))
	mux.HandleFunc("POST /incidents/{id}/resolve", d.change(store.Responder, d.postResolve))
	mux.HandleFunc("POST /incidents/{id}/mute", d.change(store.Responder, d.postMuteIncident))
	mux.HandleFunc("POST /mutes", d.change(store.Responder, d.postMute))
	mux.HandleFunc("POST /mutes/{id}/end", d.change(store.Responder, d.postEndMute))
	mux.HandleFunc("POST /rules", d.change(store.Responder, d.postRule))
	mux.HandleFunc("POST /rules/{id}/remove", d.change(store.Responder, d.postRemoveRule))
	mux.HandleFunc("POST /canaries/{build}/revoke", d.change(store.Responder, d.postRevoke))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		d.fail(w, http.StatusNotFound, "There is no such page.")
	})
	return d.guard(mux)
}

// guard sets what browsers must know before any page, and refuses changes that
// another site asks for.
func (d *Dashboard) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		d.fail(w, http.StatusForbidden, "The request came from another site.")
	}))
	if err := cross.AddTrustedOrigin(d.base.Scheme + "://" + d.base.Host); err != nil {
		panic(err) // New has checked the form
	}
	protected := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types live")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		if d.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		protected.ServeHTTP(w, r)
	})
}

const maxForm = 64 << 10 // bytes

func (d *Dashboard) static() http.Handler {
	sub, err := fs.Sub(staticFiles, "static")
	if err != nil {
		panic(err) // embedded
	}
	files := http.StripPrefix("/static/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // the address holds a hash
		files.ServeHTTP(w, r)
	})
}

// view is what every page knows.
type view struct {
	Title   string
	Section string // of the navigation
	Subject store.Subject
	CSRF    string
	Now     time.Time
	Open    int // incidents that nobody has looked at
	Live    bool
	Flash   string
	Version string
	Data    any
}

// Responder says whether the reader may change things.
func (v view) Responder() bool { return v.Subject.Role == store.Responder }

type contextKey struct{}

// page shows something to whoever is signed in.
func (d *Dashboard) page(get func(http.ResponseWriter, *http.Request, *view) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		session, ok := d.session(w, r, true)
		if !ok {
			d.askToSignIn(w, r)
			return
		}
		v := &view{Subject: session.Subject, CSRF: session.CSRF, Now: d.Now().UTC(), Live: true, Version: d.Version, Flash: flashes[r.URL.Query().Get("done")]}
		open, err := d.Store.ListIncidents(r.Context(), store.IncidentQuery{States: []store.State{store.Open}, Limit: maxOpen})
		if err == nil {
			v.Open = len(open)
			err = get(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, open)), v)
		}
		d.report(w, r, err)
	}
}

const maxOpen = 200 // incidents that the first page lists

func (d *Dashboard) report(w http.ResponseWriter, r *http.Request, err error) {
	var told *notice
	switch {
	case err == nil:
	case errors.As(err, &told):
		d.fail(w, told.status, told.text)
	case errors.Is(err, store.ErrNotFound):
		d.fail(w, http.StatusNotFound, "There is no such entry. It may have been deleted because of its age.")
	default:
		d.Log.Error("dashboard", "path", r.URL.Path, "error", err)
		d.fail(w, http.StatusInternalServerError, "The store did not answer. The collector's log says why.")
	}
}

// notice is an error that a person can do something about.
type notice struct {
	status int
	text   string
}

// Error returns the text.
func (n *notice) Error() string { return n.text }

func (d *Dashboard) fail(w http.ResponseWriter, status int, text string) {
	d.write(w, status, "error", &view{Title: "Not done", Now: d.Now().UTC(), Version: d.Version, Data: text})
}

func (d *Dashboard) show(w http.ResponseWriter, name string, v *view) error {
	d.write(w, http.StatusOK, name, v)
	return nil
}

// write executes a template and then sends it, so that no page is sent in
// part.
func (d *Dashboard) write(w http.ResponseWriter, status int, name string, v *view) {
	var page bytes.Buffer
	if err := d.pages[name].ExecuteTemplate(&page, "layout", v); err != nil {
		d.Log.Error("write page", "name", name, "error", err)
		http.Error(w, "The page could not be written. The collector's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // the client may be gone
}
