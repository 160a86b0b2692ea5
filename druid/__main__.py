from druid.cli import app

app(prog_name="python -m druid")
