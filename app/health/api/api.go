// Package api lets an operator take a program out of service by hand: a POST to
// /debug/health/down adds a failing check to health.DefaultRegistry, one to
// /debug/health/up ends that. It is source-compatible with the api package of
// docker's go-healthcheck.
//
// The two paths ask for no credentials. A browser cannot be tricked into using
// them, because cross-origin requests are refused, but whoever reaches the
// listener can. NewSwitch makes handlers that ask for a token or serve only the
// loopback interface; with the build tag health_nomux the two paths are not
// registered at all.
package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/hardstand/hardstand/app/health"
)

const checkName = "manual_http_status"

//lint:ignore ST1005 the text is that of docker's package, and on the wire
var errDown = errors.New("Manual Check")

// Switch turns a registry's health off and on by hand.
type Switch struct {
	token    [sha256.Size]byte
	ask      bool
	loopback bool
	registry *health.Registry
	origin   *http.CrossOriginProtection
}

// SwitchOptions are the settings of NewSwitch.
type SwitchOptions struct {
	// Token, when set, must come with every request as "Authorization: Bearer
	// TOKEN".
	Token string
	// LoopbackOnly refuses requests that do not come from this machine.
	LoopbackOnly bool
	// Registry is what the switch acts on; nil is health.DefaultRegistry as it
	// is when the request comes.
	Registry *health.Registry
}

// NewSwitch returns a switch for the registry.
func NewSwitch(o SwitchOptions) *Switch {
	return &Switch{
		token: sha256.Sum256([]byte(o.Token)), ask: o.Token != "", loopback: o.LoopbackOnly,
		registry: o.Registry, origin: http.NewCrossOriginProtection(),
	}
}

var open = NewSwitch(SwitchOptions{})

// DownHandler makes the manual check of health.DefaultRegistry fail on POST; it
// answers 404 to other methods.
func DownHandler(w http.ResponseWriter, r *http.Request) { open.Down(w, r) }

// UpHandler makes the manual check of health.DefaultRegistry pass on POST; it
// answers 404 to other methods.
func UpHandler(w http.ResponseWriter, r *http.Request) { open.Up(w, r) }

// Down is an http.HandlerFunc that makes the manual check fail.
func (s *Switch) Down(w http.ResponseWriter, r *http.Request) { s.serve(w, r, errDown) }

// Up is an http.HandlerFunc that makes the manual check pass.
func (s *Switch) Up(w http.ResponseWriter, r *http.Request) { s.serve(w, r, nil) }

func (s *Switch) serve(w http.ResponseWriter, r *http.Request, status error) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if !s.allowed(r) {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	if err := s.set(status); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
	}
}

func (s *Switch) allowed(r *http.Request) bool {
	if s.origin.Check(r) != nil {
		return false
	}
	if s.loopback && !fromLoopback(r.RemoteAddr) {
		return false
	}
	if !s.ask {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(given)) // hashed, so that lengths do not show
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 && ok
}

func fromLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// set updates the manual check of the registry as it is now, adding it first if
// the program has changed registries since.
func (s *Switch) set(status error) error {
	registry := s.registry
	if registry == nil {
		registry = health.Default()
	}
	for {
		if c := registry.Lookup(checkName); c != nil {
			u, ok := c.Checker().(health.Updater)
			if !ok {
				return errors.New("a check named " + checkName + " exists that is not an Updater")
			}
			u.Update(status)
			return nil
		}
		_, err := registry.AddChecker(checkName, health.NewStatusUpdater())
		if err != nil && !errors.Is(err, health.ErrDuplicate) {
			return err
		}
	}
}

func register() {
	_, err := health.Default().AddChecker(checkName, health.NewStatusUpdater())
	if err != nil && !errors.Is(err, health.ErrDuplicate) {
		panic(err) // as docker's package does: the program cannot be switched
	}
}
