proto:
	.venv/bin/python -m grpc_tools.protoc -Iproto --python_out=shared --pyi_out=shared --grpc_python_out=shared $(notdir $(wildcard proto/overpaint/v1/*.proto):%=overpaint/v1/%)
