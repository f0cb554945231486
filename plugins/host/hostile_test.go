package host_test

const hostileEnv = "SPILLWAY_TEST_HOSTILE"

func misbehave(how string) {}
