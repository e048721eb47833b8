package health_test

import (
	"log/slog"

	"github.com/hardstand/hardstand/app/health"
)

func quiet() *health.Registry { return health.New(health.Logger(slog.New(slog.DiscardHandler))) }
