package config

// LogJob is what hooks know the log of writes by, which is no job of the clock.
const LogJob = "log"

// appendOnlyBlock is whom to tell that the log has failed, and that it is healed.
type appendOnlyBlock struct {
	OnSuccess []hookBlock `hcl:"on_success,block"`
	OnFailure []hookBlock `hcl:"on_failure,block"`
}

func (c *Config) appendOnlyNode(root *node) {
	if len(c.LogHooks) > 0 {
		hooksNode(root.block("append_only"), c.LogHooks)
	}
}
