// Package api has the shape of the health/api package of distribution v3: the
// handlers and paths of app/health/api, which it is.
package api

import (
	"net/http"

	"github.com/hardstand/hardstand/app/health/api"
	health "github.com/hardstand/hardstand/app/health/compat/distv3"
)

// DownHandler makes the manual check of the default registry fail on POST; it
// answers 404 to other methods.
func DownHandler(w http.ResponseWriter, r *http.Request) { current().Down(w, r) }

// UpHandler makes the manual check of the default registry pass on POST; it
// answers 404 to other methods.
func UpHandler(w http.ResponseWriter, r *http.Request) { current().Up(w, r) }

func current() *api.Switch {
	var registry *health.Registry // nil: the default one
	return api.NewSwitch(api.SwitchOptions{Registry: registry.Base()})
}
